"""A relay without a wire: it implements the socket of sessions, and does to each address what a test says."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from mailer.interfaces.session import Permit, PermitUnavailableError, Session
from mailer.vocabulary.envelope import Envelope, MailData, MailObject
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.reply import Reply
from mailer.vocabulary.transmission import Answer, Answered, Interrupted, Transmission, Withheld


def says(phase: Phase, line: str) -> Answered:
    """A reply of the server: `says(Phase.RCPT, "550 5.1.1 unknown")`."""
    code, _, text = line.partition(" ")
    return Answered(phase, Reply.read(int(code), [text.encode()]))


def cut(phase: Phase) -> Interrupted:
    """The connection is lost."""
    return Interrupted(phase, "connection lost", phase.may_have_delivered)


OK = says(Phase.DOT, "250 2.0.0 Ok: queued as 4XyZ1234")


@dataclass(frozen=True)
class Hangs:
    """The server says nothing any more, once it is in this phase."""

    phase: Phase


Step = Answer | Hangs | Exception
Script = Callable[[str, int], Step]
"""What happens to an address the n-th time it is tried, from 1."""


@dataclass
class ScriptedRelay:
    """The pool. `refusing` is raised instead of lending a session."""

    script: Script = lambda email, tried: OK
    refusing: Exception | None = None
    tells_no_answers: bool = False
    tried: Counter[str] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)
    """Messages that the relay has, by recipient, whether or not it could say so."""
    opened: int = 0
    hanging: asyncio.Event = field(default_factory=asyncio.Event)
    busy: int = 0
    busiest: int = 0

    _watched: tuple[Phase, int, Callable[[], object]] | None = None

    def when(self, phase: Phase, nth: int, then: Callable[[], object]) -> None:
        """Call something soon after the nth message has come to this phase."""
        self._watched = (phase, nth, then)

    def note(self, phase: Phase) -> None:
        """A message has come to this phase."""
        if self._watched is not None and self._watched[0] is phase:
            _, left, then = self._watched
            self._watched = (phase, left - 1, then) if left > 1 else None
            if left == 1:
                asyncio.get_running_loop().call_soon(then)

    @asynccontextmanager
    async def session(self, borrower: str) -> AsyncIterator[Session]:
        await asyncio.sleep(0)
        if self.refusing is not None:
            raise self.refusing
        self.opened += 1
        yield ScriptedSession(self)

    def is_wanted(self, borrower: str, since: float) -> bool:
        return False

    async def close(self) -> None:
        """Nothing is kept open."""


class ScriptedSession:
    """One connection."""

    size_limit: int | None = None
    offers_smtputf8 = True
    looks_ahead = False

    def __init__(self, relay: ScriptedRelay) -> None:
        self._relay = relay
        self.is_reusable = True
        self.phase = Phase.AUTH

    async def transmit(
        self, envelope: Envelope, data: MailData, permit: Permit, following: MailObject | None = None
    ) -> Transmission:
        self._relay.busy += 1
        self._relay.busiest = max(self._relay.busiest, self._relay.busy)
        try:
            answer = await self._try(envelope.recipients[0], permit)
        finally:
            self._relay.busy -= 1
        if not isinstance(answer, Answered):
            self.is_reusable = False
        return Transmission(
            answers={} if self._relay.tells_no_answers else dict.fromkeys(envelope.recipients, answer),
            relay="relay.test:587",
            tls="TLSv1.3",
            seconds=0.01,
            connection_use=1,
        )

    async def _try(self, email: str, permit: Permit) -> Answer:
        self._relay.tried[email] += 1
        step = self._relay.script(email, self._relay.tried[email])
        self.phase = Phase.MAIL
        allowed = asyncio.ensure_future(permit())
        try:
            await self._come_to(step, Phase.RCPT, Phase.DATA)
            if isinstance(step, Answered | Interrupted) and not step.phase.may_have_delivered:
                return step
            try:
                if not await allowed:
                    return Withheld("sending mark refused")
            except PermitUnavailableError:
                return Withheld("ledger unavailable")
            self.phase = Phase.BODY
            await self._come_to(step, Phase.BODY, Phase.DOT)
            if step == OK or isinstance(step, Interrupted):
                self._relay.taken[email] += 1
        finally:
            allowed.cancel()
        assert not isinstance(step, Hangs | Exception)
        return step

    async def _come_to(self, step: Step, *phases: Phase) -> None:
        for phase in phases:
            self.phase = phase
            self._relay.note(phase)
            await asyncio.sleep(0)
            if isinstance(step, Hangs) and step.phase is phase:
                self._relay.hanging.set()
                await asyncio.Event().wait()
            if isinstance(step, Exception) and phase.value in str(step):
                raise step

    async def close(self) -> None:
        self.is_reusable = False
        await asyncio.sleep(0)
