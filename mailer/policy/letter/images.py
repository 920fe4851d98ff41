"""Images of a letter: `<img src>` that names an attached file shows it by its Content-ID (RFC 2392)."""

import re
from collections.abc import Iterator, Mapping
from html import escape, unescape
from posixpath import normpath

_LONGEST_TAG = 4_000
"""Characters in which an `<img>` must end, so that no text full of begun tags takes long."""
_TAG = re.compile(r"<img(?=[\s/>])(?:[^>\"']|\"[^\"]*\"|'[^']*')*>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([^\s"'<>/=]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'<>=]+))?""")
# What begins an image, and what may hold the text of one that is none.
_BEGIN = re.compile(r"<(?:!--|(img|script|style|textarea|title)(?=[\s/>]))", re.IGNORECASE)


def refer_to_attached(html: str, content_ids: Mapping[str, str]) -> str:
    """The HTML with `cid:` in each image whose source is one of these paths (as `path_key` has them)."""
    if not content_ids:
        return html
    pieces: list[str] = []
    done = 0
    for start, end in _image_sources(html):
        source = html[start:end]
        content_id = content_ids.get(path_key(unescape(source.strip("\"'"))))
        if content_id is not None:
            pieces += html[done:start], f'"cid:{escape(content_id)}"'
            done = end
    return "".join((*pieces, html[done:]))


def path_key(path: str) -> str:
    """Equal for two ways to write one relative path: `image.jpg`, `./image.jpg`."""
    return normpath(path.strip())


def _image_sources(html: str) -> Iterator[tuple[int, int]]:
    """Where the sources of the images stand, quotes included. Time grows with the length alone."""
    at = 0
    while (begin := _BEGIN.search(html, at)) is not None:
        name = (begin[1] or "").lower()
        if name != "img":
            end = re.compile(f"</{name}" if name else "-->", re.IGNORECASE).search(html, begin.start())
            if end is None:
                return
            at = end.end()
        elif (tag := _TAG.match(html, begin.start(), begin.start() + _LONGEST_TAG)) is None:
            at = begin.start() + _LONGEST_TAG
        else:
            for attribute in _ATTRIBUTE.finditer(html, begin.end(), tag.end() - 1):
                if attribute[1].lower() == "src" and attribute[2] is not None:
                    yield attribute.span(2)
                    break
            at = tag.end()
