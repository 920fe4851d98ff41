"""The pages of a capture server: a live list of the mail it took, a page for each message, the same for programs."""

import re
from itertools import dropwhile, islice

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mailer.capture.mailbox import Captured, Mailbox
from mailer.web.captured_document import message_document, taken_at
from mailer.web.live import events_route
from mailer.web.message_view import message_routes, view_message
from mailer.web.pages import guards, not_found, page
from mailer.web.pulse import Pulse

SCHEMA_VERSION = 1
A_PAGE = 100
MOST = 1000


def captured_mail(mailbox: Mailbox, pulse: Pulse) -> Starlette:
    """The application. Whoever puts a message into the mailbox lets the pulse beat."""

    def found(request: Request) -> Captured:
        message = mailbox.get(request.path_params["id"])
        if message is None:
            raise HTTPException(404)
        return message

    async def content(request: Request) -> bytes:
        return found(request).content

    async def listing(request: Request) -> Response:
        messages, more = _listed(mailbox, request.query_params.get("after"), A_PAGE)
        return page(
            "captured.html.j2",
            seen=pulse.number,
            messages=messages,
            taken=mailbox.accepted + mailbox.dropped,
            kept=len(mailbox),
            after=request.query_params.get("after"),
            next=messages[-1].id if more else None,
            taken_at=taken_at,
        )

    async def message(request: Request) -> Response:
        captured = found(request)
        newer, older = _neighbours(mailbox, captured.id)
        view = await view_message(
            captured.content, base=f"/messages/{captured.id}", look=request.query_params.get("view")
        )
        return page(
            "message.html.j2", seen=None, captured=captured, view=view, newer=newer, older=older, taken_at=taken_at
        )

    async def api_list(request: Request) -> Response:
        limit = request.query_params.get("limit", str(A_PAGE))
        if re.fullmatch("[0-9]{1,4}", limit) is None or not 1 <= int(limit) <= MOST:
            problem = {"code": "E101", "message": f"limit must be a number from 1 to {MOST}", "retryable": False}
            return JSONResponse({"schema_version": SCHEMA_VERSION, "error": problem}, 400)
        messages, more = _listed(mailbox, request.query_params.get("after"), int(limit))
        return JSONResponse(
            {
                "schema_version": SCHEMA_VERSION,
                "taken": mailbox.accepted + mailbox.dropped,
                "kept": len(mailbox),
                "messages": [message_document(one) for one in messages],
                "next": messages[-1].id if more else None,
            }
        )

    async def api_message(request: Request) -> Response:
        captured = found(request)
        view = await view_message(captured.content, base="", look=None)
        parts = [
            {
                "number": part.number,
                "content_type": part.content_type,
                "name": part.name,
                "content_id": part.content_id,
                "is_attachment": part.is_attachment,
                "bytes": len(part.content),
            }
            for part in view.opened.parts
        ]
        return JSONResponse(
            {
                "schema_version": SCHEMA_VERSION,
                **message_document(captured),
                "headers": view.opened.headers,
                "text": view.opened.text,
                "html": view.opened.html,
                "parts": parts,
            }
        )

    return Starlette(
        routes=[
            Route("/", listing),
            events_route(pulse),
            Route("/messages/{id}", message),
            *message_routes("/messages/{id}", content),
            Route("/api/v1/messages", api_list),
            Route("/api/v1/messages/{id}", api_message),
            *message_routes("/api/v1/messages/{id}", content),
        ],
        middleware=guards(),
        exception_handlers={404: not_found},
    )


def _listed(mailbox: Mailbox, after: str | None, limit: int) -> tuple[list[Captured], bool]:
    """Messages, newest first, from the one after `after` on; and whether there are more."""
    messages = iter(mailbox)
    if after is not None:
        messages = islice(dropwhile(lambda message: message.id != after, messages), 1, None)
    listed = list(islice(messages, limit + 1))
    return listed[:limit], len(listed) > limit


def _neighbours(mailbox: Mailbox, message_id: str) -> tuple[str | None, str | None]:
    """The ids of the message taken after this one and of the one taken before."""
    newer: str | None = None
    for message in (messages := iter(mailbox)):
        if message.id == message_id:
            before = next(messages, None)
            return newer, before.id if before is not None else None
        newer = message.id
    return None, None
