"""Markdown as letters have it: line ends are kept, and HTML in it stays HTML."""

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock


def to_html(markdown: str) -> str:
    """The HTML of a Markdown text, without `<html>` and `<body>` around it.

    CommonMark, read as Python-Markdown with `nl2br` reads it where the two differ in a letter: a line end is a line
    break, a list needs a blank line before it (`Regards,` and `- Ann` below it are no list), three backquotes fence
    nothing, and the targets of links and images stay as they are written. `javascript:` and the like are no targets.
    """
    return str(_converter().render(markdown))


@lru_cache(maxsize=1)
def _converter() -> "MarkdownIt":
    # Imported here: start-up must not wait for it, and most campaigns have no Markdown.
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import list_block

    def list_after_blank_line(state: "StateBlock", start: int, end: int, silent: bool) -> bool:
        # Silent: asked whether a paragraph ends here. Inside of a list (level above 0) it may.
        return not (silent and state.level == 0) and list_block(state, start, end, silent)

    converter = MarkdownIt("commonmark", {"breaks": True, "html": True, "xhtmlOut": True}).disable("fence")
    converter.block.ruler.at("list", list_after_blank_line, {"alt": ["paragraph", "reference", "blockquote"]})
    converter.normalizeLink = lambda url: url  # type: ignore[method-assign]  # a hook, replaced as its manual has it
    return converter
