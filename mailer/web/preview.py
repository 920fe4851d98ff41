"""The pages of a preview: one row of a campaign as a message, renewed when a file changes."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from mailer.policy.lint import FIXES, LARGEST_HTML, Finding, lint
from mailer.web.live import events_route
from mailer.web.message_view import LOOKS, TABS, MessageView, message_routes, view_message
from mailer.web.opened import Opened
from mailer.web.pages import guards, not_found, page
from mailer.web.proof import Proof
from mailer.web.pulse import Pulse
from mailer.web.watching import EVERY_S, watch
from mailer.web.website import Website


def preview(proof: Proof, pulse: Pulse, *, name: str, row: int = 1) -> Starlette:
    """The application; it begins with `row`. Whoever renews the proof lets the pulse beat."""

    async def start(request: Request) -> Response:
        wanted = request.query_params.get("row", "")
        look = request.query_params.get("view")
        number = int(wanted) if re.fullmatch("[1-9][0-9]{0,8}", wanted) else row
        tail = f"?view={look}" if look in LOOKS or look in TABS else ""
        return RedirectResponse(f"/rows/{number}{tail}", 303)

    async def shown(request: Request) -> Response:
        # Read before the message is made: a change meanwhile is told as one to come.
        seen = pulse.number
        look = await run_in_threadpool(proof.look, request.path_params["row"])
        wanted = request.query_params.get("view")
        view, findings = None, list[Finding]()
        if look.previewed is not None:
            view = await view_message(look.previewed.content, base=f"/rows/{look.row}", look=wanted)
            findings = await run_in_threadpool(findings_in, view.opened)
        return page(
            "preview.html.j2",
            seen=seen,
            campaign=name,
            look=look,
            view=view,
            wanted=wanted if wanted in LOOKS or wanted in TABS else None,
            findings=findings,
            fixes=FIXES,
            html_size=html_size(view),
            largest_html=LARGEST_HTML,
        )

    async def content(request: Request) -> bytes:
        look = await run_in_threadpool(proof.look, request.path_params["row"])
        if look.previewed is None:
            raise HTTPException(404)
        return look.previewed.content

    return Starlette(
        routes=[
            Route("/", start),
            events_route(pulse),
            Route("/rows/{row:int}", shown),
            *message_routes("/rows/{row:int}", content),
        ],
        middleware=guards(),
        exception_handlers={404: not_found},
    )


@asynccontextmanager
async def serving(
    proof: Proof, paths: Callable[[], Iterable[Path]], *, name: str, row: int, port: int = 0
) -> AsyncIterator[Website]:
    """Serve the preview, and renew it when one of `paths` changes."""
    pulse = Pulse(every=EVERY_S)

    async def renew(error: Exception | None) -> None:
        await asyncio.to_thread(proof.renew if error is None else partial(proof.fail, error))
        pulse.beat()

    async with Website(preview(proof, pulse, name=name, row=row), pulse, port=port) as site:
        watching = asyncio.create_task(watch(paths, renew))
        try:
            yield site
        finally:
            watching.cancel()
            await asyncio.wait({watching})


def findings_in(opened: Opened) -> list[Finding]:
    """What lint says of the message."""
    return lint(opened.subject, opened.text, opened.html, len((opened.html or "").encode("utf-8", "replace")))


def html_size(view: MessageView | None) -> int | None:
    """Bytes of the HTML part, None without one."""
    html = view.opened.html if view is not None else None
    return len(html.encode("utf-8", "replace")) if html is not None else None
