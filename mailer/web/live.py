"""The live end of a page: server-sent events from a pulse."""

from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.routing import Route

from mailer.web.pulse import Pulse

PATH = "/events"


def events_route(pulse: Pulse) -> Route:
    """`GET /events`: the number of changes so far, at once and whenever there were more."""

    async def events(request: Request) -> EventSourceResponse:
        return EventSourceResponse(_told(pulse))

    return Route(PATH, events)


async def _told(pulse: Pulse) -> AsyncIterator[ServerSentEvent]:
    async for number in pulse.changes():
        yield ServerSentEvent(data=str(number))
