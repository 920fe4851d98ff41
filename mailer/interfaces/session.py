"""A session with the relay, and the pool that lends it."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from mailer.vocabulary.envelope import Envelope, MailData, MailObject
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.transmission import Transmission

Permit = Callable[[], Awaitable[bool]]
"""Ask for the durable `sending` mark. True: the body may go. False: somebody else owns the recipient, send nothing.

The session begins to await it when the envelope is written and has its answer before the first body byte.
It may raise `PermitUnavailableError` when the mark cannot be written in time: nothing is sent then either.
"""


class PermitUnavailableError(Exception):
    """The ledger cannot record the `sending` mark, so nothing may be sent."""


class Session(Protocol):
    """One connection to the relay, greeted, protected and logged in. Not for concurrent use."""

    @property
    def is_reusable(self) -> bool:
        """True after a clean end of a transaction, within the limits of age and count."""

    @property
    def size_limit(self) -> int | None:
        """The relay's SIZE in bytes (RFC 1870), or None where it names no limit."""

    @property
    def offers_smtputf8(self) -> bool:
        """True where the relay can carry addresses that are not ASCII (RFC 6531)."""

    @property
    def phase(self) -> Phase:
        """The step that is going on or was the last; tells what a cancelled `transmit` may have done."""

    @property
    def looks_ahead(self) -> bool:
        """True when `transmit` has a use for the message that follows."""

    async def transmit(
        self, envelope: Envelope, data: MailData, permit: Permit, following: MailObject | None = None
    ) -> Transmission:
        """Run one mail transaction.

        Every end of it is a value; only cancellation raises, after which the connection is closed and the caller
        judges by `phase`. `following` is what is transmitted next, if anything is: its envelope may be said already.
        Who gives the session back instead has it closed.
        """

    async def close(self) -> None:
        """Say QUIT (2 s at most) and close. May be called twice."""


class SessionPool(Protocol):
    """Sessions of one route: opened when needed, reused while clean, never more than the route allows."""

    def session(self, borrower: str) -> AbstractAsyncContextManager[Session]:
        """Lend a session, waiting for a free one. Raises `RelayError` when none can be opened.

        Of several borrowers (campaigns) that wait, the one with the fewest sessions is the next.
        """

    def is_wanted(self, borrower: str, since: float) -> bool:
        """True when a session that this borrower has had since then (monotonic clock) is to go to another one."""

    async def close(self) -> None:
        """Close every connection with QUIT."""
