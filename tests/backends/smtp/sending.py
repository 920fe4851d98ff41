"""What these tests send, and with which settings."""

from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, Protocol

from mailer.backends.smtp.connecting import Connector
from mailer.backends.smtp.session import SmtpSession
from mailer.policy.dot_stuffing import dot_stuff
from mailer.vocabulary.envelope import Envelope
from mailer.vocabulary.route import Route
from mailer.vocabulary.settings import SmtpSettings
from mailer.vocabulary.transmission import Transmission

# Whoever waits for a timeout shortens it; in all other tests none is reached.
SETTINGS = SmtpSettings(connect_timeout=20, command_timeout=20, reply_timeout=20, local_hostname="client.test")
SENDER = "sender@client.test"
GOOD, OTHER, BAD = "good@x.test", "other@x.test", "bad@x.test"
CONTENT = b"Subject: hello\r\n\r\nHello.\r\n"


class Relay(Protocol):
    """Whatever can be sent to."""

    def route(self) -> Route: ...


class Permit:
    """A permit that answers at once, and knows how often it was asked."""

    def __init__(self, answer: bool | Exception = True) -> None:
        self._answer = answer
        self.asked = 0

    async def __call__(self) -> bool:
        self.asked += 1
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


class Connect:
    """`await connect(relay, command_timeout=0.1)` opens a session that is closed when the test is over."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def __call__(self, relay: Relay | Route, password: str | None = None, **changes: Any) -> SmtpSession:
        route = relay if isinstance(relay, Route) else relay.route()
        connector = Connector(route, password, replace(SETTINGS, **changes))
        return await self._stack.enter_async_context(await connector.open())


async def send(session: SmtpSession, *recipients: str, content: bytes = CONTENT) -> Transmission:
    """One message, with every permission."""
    return await session.transmit(Envelope(SENDER, recipients or (GOOD,)), dot_stuff(content), Permit())
