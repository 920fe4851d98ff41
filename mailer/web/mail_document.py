"""The HTML of a mail as a document for a browser: nothing runs, nothing is fetched, and links lead nowhere."""

import re
from base64 import b64encode
from collections.abc import Callable, Iterable
from html import unescape
from urllib.parse import unquote

from mailer.web.opened import Part

POLICY = (
    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
"""The Content-Security-Policy that the document must be served with: it holds in a window of its own, too."""

MOST_IMAGES = 64 * 2**20
"""Characters of images in one document: a small mail may name a large one a thousand times."""

_CID = re.compile(r"""cid:([^\s"'<>()]{1,998})""", re.IGNORECASE)
_EAGER = re.compile(r"<(?=(?:link|base|i?frame|frameset|fencedframe|portal|object|embed|applet)[\s/>])", re.IGNORECASE)
"""Elements that a browser opens connections for although a policy forbids them; no mail client shows them."""
_DOCTYPE = re.compile(r"\s*<!doctype[^>]*>", re.IGNORECASE)
_SCHEME = re.compile(r"\(\s*prefers-color-scheme\s*:\s*(light|dark)\s*\)", re.IGNORECASE)


def mail_document(html: str, parts: Iterable[Part], *, dark: bool = False) -> bytes:
    """The document: `cid:` images within it, and its styles as a reader with light or dark colours gets them."""
    html = _CID.sub(_images(parts), html)
    html = _EAGER.sub("<x-", html)
    html = _SCHEME.sub(lambda found: f"({'min' if (found[1].lower() == 'dark') == dark else 'max'}-width: 0px)", html)
    scheme = f"<style>:root{{color-scheme:{'dark' if dark else 'light'}!important}}</style>"
    doctype = _DOCTYPE.match(html)
    start = doctype.end() if doctype is not None else 0
    return f"{html[:start] or '<!doctype html>'}{scheme}{html[start:]}".encode("utf-8", "replace")


def has_dark_styles(html: str) -> bool:
    """True where a mail says how it looks in dark colours."""
    return any(found[1].lower() == "dark" for found in _SCHEME.finditer(html))


def data_url(part: Part) -> str:
    """The content of a part as a URL (RFC 2397)."""
    return f"data:{part.content_type};base64,{b64encode(part.content).decode('ascii')}"


def _images(parts: Iterable[Part]) -> Callable[[re.Match[str]], str]:
    images = {part.content_id: data_url(part) for part in parts if part.content_id is not None and part.is_image}
    room = MOST_IMAGES

    def image(found: re.Match[str]) -> str:
        nonlocal room
        # RFC 2392 section 2: the identifier is percent-encoded in the URL, and stands in HTML besides.
        url = images.get(unquote(unescape(found[1])))
        if url is None or len(url) > room:
            return found[0]
        room -= len(url)
        return url

    return image
