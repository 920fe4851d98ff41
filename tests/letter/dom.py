"""HTML as what it means: elements, attributes and words, whatever the markup around them looks like."""

import re
from collections.abc import Callable
from html.parser import HTMLParser

_BLOCKS = frozenset(
    {"blockquote", "br", "div", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "table", "ul"}
)
_FRAME = frozenset({"html", "head", "body"})
_VOID = frozenset({"br", "hr", "img"})

Node = tuple[object, ...]


class _Reader(HTMLParser):
    def __init__(self, rename: Callable[[str], str]) -> None:
        super().__init__(convert_charrefs=True)
        self.nodes: list[Node] = []
        self._rename = rename
        self._pre = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._pre += tag == "pre"
        if tag not in _FRAME:
            named = sorted((name, self._rename(value or "") if name == "src" else value or "") for name, value in attrs)
            self.nodes.append(("begin", tag, *named))

    def handle_endtag(self, tag: str) -> None:
        self._pre -= tag == "pre"
        if tag not in _FRAME | _VOID:
            self.nodes.append(("end", tag))

    def handle_comment(self, data: str) -> None:
        self.nodes.append(("comment", data.strip()))

    def handle_data(self, data: str) -> None:
        if self._pre:
            self.nodes.append(("text", data))
            return
        # Words go on over the ends of what only frames a document.
        before = str(self.nodes.pop()[1]) if self.nodes and self.nodes[-1][0] == "words" else ""
        self.nodes.append(("words", re.sub(r"\s+", " ", before + data)))


def normalised(html: str, rename: Callable[[str], str] = str) -> list[Node]:
    """The document as a list of what begins, ends and stands there; `rename` is given each source of an image.

    White space is collapsed, and left out where a reader sees none: beside an element that breaks the line.
    """
    reader = _Reader(rename)
    reader.feed(html)
    reader.close()
    nodes = [("begin", "br"), *reader.nodes, ("begin", "br")]
    found: list[Node] = []
    for before, node, after in zip(nodes, nodes[1:], nodes[2:], strict=False):
        if node[0] == "words":
            words = str(node[1])
            words = words.lstrip(" ") if _breaks(before) else words
            words = words.rstrip(" ") if _breaks(after) else words
            if words:
                found.append(("words", words))
        else:
            found.append(node)
    return found


def _breaks(node: Node) -> bool:
    return node[0] == "comment" or (node[0] in ("begin", "end") and node[1] in _BLOCKS)
