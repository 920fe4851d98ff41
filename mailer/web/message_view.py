"""The view of one message, the same wherever one is shown: tabs, the mail in its sandbox, its parts to download."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mailer.web.mail_document import POLICY, data_url, has_dark_styles, mail_document
from mailer.web.opened import Opened, Part, open_message

LOOKS = {"desktop": "Desktop", "mobile": "Mobile", "dark": "Dark"}
"""Ways to look at the HTML."""
TABS = {"html": "HTML", "text": "Text", "source": "Source", "headers": "Headers", "parts": "Parts"}
LONGEST_TEXT = 500_000
"""Characters that a page shows; the rest is in the download."""
LARGEST_PICTURE = 5 * 2**20
"""Bytes of an image that the list of parts shows."""

FindMessage = Callable[[Request], Awaitable[bytes]]
"""The content of the message that a request is about. Raises `HTTPException` 404."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """A way to look at the message; `is_empty` when there is nothing to see."""

    name: str
    label: str
    is_current: bool
    is_empty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageView:
    """What the templates need to show a message; `base` is the path of its page."""

    base: str
    opened: Opened
    content: bytes
    look: str
    """One of `LOOKS`, or of `TABS` but `html`."""

    @property
    def tab(self) -> str:
        """The tab in front."""
        return "html" if self.look in LOOKS else self.look

    @property
    def tabs(self) -> list[Tab]:
        """All tabs. What the HTML tab leads to is its desktop look."""
        empty = {"html": self.opened.html is None, "text": self.opened.text is None}
        return [
            Tab(
                name="desktop" if name == "html" else name,
                label=f"{label} {len(self.opened.parts)}" if name == "parts" else label,
                is_current=name == self.tab,
                is_empty=empty.get(name, False),
            )
            for name, label in TABS.items()
        ]

    @property
    def looks(self) -> list[Tab]:
        """The ways to look at the HTML."""
        return [Tab(name=name, label=label, is_current=name == self.look) for name, label in LOOKS.items()]

    @property
    def lacks_dark_styles(self) -> bool:
        """True where the dark look is the browser's and not the mail's."""
        return self.look == "dark" and self.opened.html is not None and not has_dark_styles(self.opened.html)

    @property
    def source(self) -> str:
        """The message as it is."""
        return self.content[:LONGEST_TEXT].decode("utf-8", "backslashreplace")

    @property
    def text(self) -> str:
        """The text part as far as it is shown."""
        return (self.opened.text or "")[:LONGEST_TEXT]

    @property
    def is_cut(self) -> bool:
        """True where the page shows the beginning only."""
        length = {"source": len(self.content), "text": len(self.opened.text or "")}.get(self.tab, 0)
        return length > LONGEST_TEXT

    @staticmethod
    def picture(part: Part) -> str | None:
        """The image of a part as a URL, None where it is none or too large."""
        return data_url(part) if part.is_image and len(part.content) <= LARGEST_PICTURE else None


async def view_message(content: bytes, *, base: str, look: str | None) -> MessageView:
    """The view that was asked for, or the first that has something to show. A large message takes a moment."""
    opened = await run_in_threadpool(open_message, content)
    if look not in LOOKS and look not in TABS:
        look = "desktop" if opened.html is not None or opened.text is None else "text"
    return MessageView(base=base, opened=opened, content=content, look="desktop" if look == "html" else look)


def message_routes(base: str, find: FindMessage) -> list[Route]:
    """What a message's view leads to: its HTML for the sandbox, its parts and its source as downloads."""

    async def html(request: Request) -> Response:
        opened = await run_in_threadpool(open_message, await find(request))
        if opened.html is None:
            raise HTTPException(404)
        dark = request.query_params.get("look") == "dark"
        document = await run_in_threadpool(mail_document, opened.html, opened.parts, dark=dark)
        return Response(document, media_type="text/html", headers={"Content-Security-Policy": POLICY})

    async def part(request: Request) -> Response:
        opened = await run_in_threadpool(open_message, await find(request))
        number: int = request.path_params["number"]
        if not 1 <= number <= len(opened.parts):
            raise HTTPException(404)
        found = opened.parts[number - 1]
        return download(found.content, found.file_name)

    async def source(request: Request) -> Response:
        return download(await find(request), "message.eml", media_type="message/rfc822")

    return [
        Route(f"{base}/html", html),
        Route(f"{base}/parts/{{number:int}}", part),
        Route(f"{base}/source", source),
    ]


def download(content: bytes, name: str, *, media_type: str = "application/octet-stream") -> Response:
    """A file to save: no browser shows it in place."""
    disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    return Response(content, media_type=media_type, headers={"Content-Disposition": disposition})
