"""Syntax errors of a template: what to write instead, as far as Jinja2's words and the line tell."""

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches

from jinja2.filters import FILTERS
from jinja2.tests import TESTS

_TAGS = ("block", "call", "elif", "else", "extends", "filter", "for", "from", "if", "import", "include", "macro")
_MORE_TAGS = ("raw", "set", "with", "endblock", "endcall", "endfilter", "endfor", "endif", "endmacro", "endset")
_TYPOGRAPHIC = str.maketrans("“”„‟«»‘’‚‛", '""""""\'\'\'\'')


def mend_syntax(said: str, line: str) -> str | None:
    """What to write so that `line` becomes right, given what Jinja2 said about it; None where nobody can know."""
    for pattern, mend in _MENDS:
        if (found := re.search(pattern, said)) is not None and (hint := mend(found, line.strip())) is not None:
            return hint
    return None


def _close(found: re.Match[str], line: str) -> str | None:
    endings = re.findall(r"'(end\w+)'", found[1])
    return f"{{% {endings[0]} %}}" if endings else None


def _near(names: Iterable[str], frame: str) -> Callable[[re.Match[str], str], str | None]:
    def mend(found: re.Match[str], line: str) -> str | None:
        near = get_close_matches(found[1], list(names), n=1)
        return frame.format(near[0]) if near else None

    return mend


def _join_words(found: re.Match[str], line: str) -> str | None:
    words = re.search(r"\{\{-?\s*([A-Za-z_]\w*(?:[ ]+[A-Za-z_]\w*)+)\s*(\|[^{}]*)?-?\}\}", line)
    return f"{{{{ {words[1].replace(' ', '_')} {words[2] or ''}}}}}" if words is not None else None


def _close_expression(found: re.Match[str], line: str) -> str | None:
    unclosed = re.search(r"\{\{\s*(\w[\w.]*)\s*(?:\}(?!\})|$|[<&,;!?])", line)
    return f"{{{{ {unclosed[1]} }}}}" if unclosed is not None else None


def _compare(found: re.Match[str], line: str) -> str | None:
    compared = re.search(r"(\{%-?\s*(?:el)?if\b[^{}]*?[^=!<>])=(?!=)([^{}]*%\})", line)
    return f"{compared[1]}=={compared[2]}" if compared is not None else None


def _straighten(found: re.Match[str], line: str) -> str | None:
    straight = line.translate(_TYPOGRAPHIC)
    return straight if straight != line else None


_MENDS: tuple[tuple[str, Callable[[re.Match[str], str], str | None]], ...] = (
    (r"looking for the following tags: (.*?)\.", _close),
    (r"unknown tag '(\w+)'", _near((*_TAGS, *_MORE_TAGS), "{{% {} … %}}")),
    (r"No filter named '(\w+)'", _near(FILTERS, "| {}")),
    (r"No test named '(\w+)'", _near(TESTS, "is {}")),
    (r"unexpected char", _straighten),
    (r"got 'name'", _join_words),
    (r"got '='", _compare),
    (r"end of comment", lambda found, line: "#}"),
    (r"end of raw", lambda found, line: "{% endraw %}"),
    (r"", _close_expression),
)
"""What Jinja2 says, as far as it tells mistakes apart, and what to write then."""
