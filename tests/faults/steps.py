"""The steps of a session as the relay's side sees them, and what a test may do at one of them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """A moment in a session, in the order they come. Each is told before the relay does anything about it."""

    CONNECT = "connect"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"
    """The first byte of a message is there."""
    DOT = "dot"
    """The whole message is there; nothing has been kept of it yet."""
    FSYNCED = "fsynced"
    """It is accepted and on disk; the client does not know."""
    REPLIED = "replied"
    """The 250 has been written."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One step of one session. `client` is what the client called itself, `count` how often the step was seen."""

    step: Step
    count: int
    session: int
    client: str = ""
    address: str = ""


class CutError(Exception):
    """Raised by a hook: the connection ends here, with a reset (RST) or in an orderly way (FIN)."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__("reset" if reset else "closed")
        self.reset = reset


Hook = Callable[[Moment], Awaitable[bytes | None]]
"""Asked at every step. It may act, wait, raise `CutError`, or give the reply that stands instead of the usual one."""


async def nothing(moment: Moment) -> bytes | None:
    """Let everything take its course."""
    return None
