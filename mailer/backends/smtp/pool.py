"""The pool of sessions of one route: opened when needed, reused while clean, never more than the route allows."""

import asyncio
import contextlib
import time
from enum import Enum, auto
from types import TracebackType
from typing import Self

from mailer.backends.smtp.connecting import Connector
from mailer.backends.smtp.session import SmtpSession
from mailer.backends.smtp.transcript import Keep
from mailer.policy.turns import Turns
from mailer.vocabulary.errors import RelayError
from mailer.vocabulary.route import Route
from mailer.vocabulary.settings import SmtpSettings

AT_REST_S = 0.01
"""How long nobody has wanted a session of a pool that is at rest."""
NOBODY = ""
"""The borrower that has no name, for whom a session is also opened before anybody wants it."""


class _Otherwise(Enum):
    """What to do when no session can be reused."""

    OPEN = auto()
    WAIT = auto()


class SmtpPool:
    """Lends the sessions of one route, in turns among its borrowers; the one used last goes out first.

    A connection counts against `max_connections` from the moment it is opened until its QUIT is answered. The first
    one opens alone: a wrong password is tried once and not `max_connections` times. When none can be opened and none
    is at work, everybody who waits gets the same `RelayError`.

    `transcript` is called with every line of every dialogue as it happens, `#2 C: RCPT TO:<…>` on the second connection
    opened, secrets masked and messages abbreviated to their size. It must be quick, and not raise.
    """

    def __init__(
        self, route: Route, password: str | None, settings: SmtpSettings, *, transcript: Keep | None = None
    ) -> None:
        self._connector = Connector(route, password, settings, transcript=transcript)
        self._settings = settings
        self._idle: list[tuple[float, SmtpSession]] = []  # since when; the oldest first
        self._lent: dict[SmtpSession, str] = {}  # to whom
        self._opening = 0
        self._closing: set[asyncio.Task[None]] = set()
        self._turns: Turns[asyncio.Future[SmtpSession | None]] = Turns()
        self._reaper: asyncio.TimerHandle | None = None
        self._ahead: asyncio.TimerHandle | None = None
        self._replacing: asyncio.Task[None] | None = None
        self._is_proven = False
        self._is_closed = False

    def __repr__(self) -> str:
        state = "closed, " if self._is_closed else ""
        return (
            f"<SmtpPool {self._connector.route.relay}: {state}{len(self._lent)} lent, {len(self._idle)} idle, "
            f"{self._opening} opening, {len(self._closing)} closing, {len(self._turns)} waiting>"
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def session(self, borrower: str = NOBODY) -> "Loan":
        """Lend a session, waiting for a free one. Raises `RelayError` when none can be opened.

        It comes back at the end of the `async with` and is kept if it `is_reusable`; whoever does not want it to be
        used again closes it first. Of several borrowers that wait, the one with the fewest sessions is the next.
        """
        return Loan(self, borrower)

    def is_wanted(self, borrower: str, since: float) -> bool:
        """True when a session that this borrower has had since then (monotonic clock) is to go to another one."""
        return self._turns.is_wanted(borrower, time.monotonic() - since)

    async def close(self) -> None:
        """Close every connection with QUIT; those that are lent follow when they come back. May be called twice."""
        self._is_closed = True
        self._refuse_all(RuntimeError("the pool is closed"))
        while self._idle:
            self._retire(self._idle.pop()[1])
        if self._reaper is not None:
            self._reaper.cancel()
            self._reaper = None
        if self._ahead is not None:
            self._ahead.cancel()
            self._ahead = None
        if self._replacing is not None:
            self._replacing.cancel()
            await asyncio.wait([self._replacing])
        while self._closing:
            await asyncio.wait(self._closing)

    def _decide(self) -> SmtpSession | _Otherwise:
        """Reuse, open or wait. The only place that decides, and it never awaits: nothing changes while it thinks."""
        while self._idle:
            session = self._idle[-1][1]
            if session.is_reusable:
                return session
            self._idle.pop()
            self._retire(session)
        if self._opening and not self._is_proven:
            return _Otherwise.WAIT
        if len(self._lent) + self._opening + len(self._closing) < self._settings.max_connections:
            return _Otherwise.OPEN
        return _Otherwise.WAIT

    def _take(self, decision: SmtpSession | _Otherwise, borrower: str) -> SmtpSession | None:
        """Book what was decided: a session, or None for the right to open one."""
        self._turns.take(borrower)
        if isinstance(decision, SmtpSession):
            self._idle.pop()
            self._lent[decision] = borrower
            return decision
        self._opening += 1
        return None

    def _serve(self) -> None:
        """Give those who wait what has become free."""
        while self._turns and (decision := self._decide()) is not _Otherwise.WAIT:
            borrower, waiter = self._turns.next()
            if not waiter.done():  # else cancelled
                waiter.set_result(self._take(decision, borrower))

    async def acquire(self, borrower: str) -> SmtpSession:
        """Reuse a session, open one or wait for one; for `Loan`."""
        self._ensure_open()
        decision = _Otherwise.WAIT if self._turns else self._decide()
        session = await self._queue(borrower) if decision is _Otherwise.WAIT else self._take(decision, borrower)
        if session is not None:
            try:
                if await session.freshen():
                    return session
            except BaseException:
                self._release(session)
                raise
            # It died on the shelf: nobody's attempt, so another one takes its place.
            del self._lent[session]
            self._opening += 1
        return await self._open(borrower)

    async def _queue(self, borrower: str) -> SmtpSession | None:
        waiter: asyncio.Future[SmtpSession | None] = asyncio.get_running_loop().create_future()
        self._turns.wait(borrower, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled() and waiter.exception() is None:
                self._give_back(waiter.result(), borrower)
            self._turns.leave(borrower, waiter)
            raise

    def _give_back(self, turn: SmtpSession | None, borrower: str) -> None:
        """Undo `_take` for somebody who was cancelled in the moment he was served."""
        if turn is not None:
            self._release(turn)
        else:
            self._opening -= 1
            self._turns.give_back(borrower)
            self._serve()

    async def _open(self, borrower: str) -> SmtpSession:
        try:
            session = await self._connector.open()
        except BaseException as error:
            self._opening -= 1
            self._turns.give_back(borrower)
            if isinstance(error, RelayError):
                self._is_proven = False
                self._share(error)
            self._serve()
            raise
        self._opening -= 1
        self._lent[session] = borrower
        self._is_proven = True
        self._serve()
        if self._is_closed:
            await self.put_back(session)
            self._ensure_open()
        return session

    def _ensure_open(self) -> None:
        if self._is_closed:
            raise RuntimeError("the pool is closed")

    def _share(self, error: RelayError) -> None:
        """Tell those who wait, unless a session that works will come back to them."""
        if error.retryable and (self._lent or self._idle):
            return
        self._refuse_all(error)

    def _refuse_all(self, error: Exception) -> None:
        while self._turns:
            _, waiter = self._turns.next()
            if not waiter.done():  # else cancelled
                waiter.set_exception(error)

    async def put_back(self, session: SmtpSession) -> None:
        """Take a session back; for `Loan`."""
        self._release(session)
        if self._is_closed:
            await self.close()

    def _release(self, session: SmtpSession) -> None:
        self._turns.give_back(self._lent.pop(session))
        if session.is_reusable and not session.owes_message and not self._is_closed:
            loop = asyncio.get_running_loop()
            self._idle.append((loop.time(), session))
            if self._reaper is None:
                self._reaper = loop.call_later(self._settings.idle_timeout, self._reap)
            if session.is_wearing and self._ahead is None:
                self._ahead = loop.call_later(AT_REST_S, self._look_ahead)
        else:
            self._retire(session)
        self._serve()

    def _look_ahead(self) -> None:
        """Open a session before the last one that is idle has reached its limits: the next message shall not wait."""
        self._ahead = None
        is_at_rest = not (self._lent or self._opening or self._turns or self._is_closed)
        has_room = len(self._idle) + len(self._closing) < self._settings.max_connections
        if is_at_rest and has_room and all(session.is_wearing for _, session in self._idle):
            self._take(_Otherwise.OPEN, NOBODY)
            self._replacing = asyncio.get_running_loop().create_task(self._replace())

    async def _replace(self) -> None:
        # Whoever needs one when there is none will be told the reason himself.
        with contextlib.suppress(RelayError, RuntimeError):
            self._release(await self._open(NOBODY))

    def _reap(self) -> None:
        """Say goodbye to what was not needed for a while: relays hang up on idle clients, and we on dead ones."""
        self._reaper = None
        loop = asyncio.get_running_loop()
        tired = loop.time() - self._settings.idle_timeout
        while self._idle and self._idle[0][0] <= tired:
            self._retire(self._idle.pop(0)[1])
        if self._idle:
            self._reaper = loop.call_at(self._idle[0][0] + self._settings.idle_timeout, self._reap)

    def _retire(self, session: SmtpSession) -> None:
        farewell = asyncio.get_running_loop().create_task(session.close())
        self._closing.add(farewell)
        farewell.add_done_callback(self._retired)

    def _retired(self, farewell: asyncio.Task[None]) -> None:
        self._closing.discard(farewell)
        self._serve()


class Loan:
    """`async with pool.session() as session:`; a class of its own, for it runs once a message."""

    __slots__ = ("_borrower", "_pool", "_session")

    def __init__(self, pool: SmtpPool, borrower: str) -> None:
        self._pool = pool
        self._borrower = borrower
        self._session: SmtpSession | None = None

    async def __aenter__(self) -> SmtpSession:
        self._session = await self._pool.acquire(self._borrower)
        return self._session

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._pool.put_back(self._session)
            self._session = None
