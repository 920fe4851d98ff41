"""Pacing: a place in the line of the relay, and of the recipient's domain, for every message before it begins.

A place that is near is slept for. One that is far (a slow rate, a quota that is full) is waited for in the queue: the
chunk goes back and rests until then, hours if need be, and neither a connection nor a job's slot is held meanwhile.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

import structlog

from mailer.flow.copies import Copies
from mailer.interfaces.limiter import Bucket, Limiter
from mailer.policy.pace import Pace, lateness_us, pace_of

if TYPE_CHECKING:
    from mailer.flow.run import Route, Run
    from mailer.vocabulary.campaign import Campaign

MOST_WAIT_S = 2.0
"""The longest wait for a turn that is slept. A longer one is waited for in the queue, without a job's slot."""
ROOM_S = 0.01
"""How much later than the line of the relay a place may be for a domain's sake: nobody else could use the gap."""
LOOK = -1.0
"""As `most_s`: nothing is taken."""
AWAY_S = 1.0
"""How long a chunk rests when nobody can tell whose turn it is."""

log = structlog.get_logger("mailer.delivery")


@dataclass(slots=True, eq=False)
class Line:
    """Those in this process who wait for one relay. One of them at a time has a place that is to come."""

    turnstile: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    resting: dict[str, float] = field(default_factory=dict)
    """When a domain is to be asked for again (monotonic clock), by the name of its bucket."""


class _Turn(Enum):
    """What came of asking for a place."""

    NOW = auto()
    NOT_THIS_ONE = auto()
    NOBODY = auto()


class Pacing:
    """The lines of this process."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._lines: dict[str, Line] = {}

    def places(self, campaign: "Campaign", route: "Route") -> "Places | None":
        """The places of one run; None when the campaign is as fast as its relay."""
        pace = pace_of(route.line, campaign.delivery)
        return None if pace is None else Places(self._limiter, pace, self._lines.setdefault(route.line, Line()))


class Places:
    """Whose turn it is among the recipients of one run."""

    def __init__(self, limiter: Limiter, pace: Pace, line: Line) -> None:
        self._limiter = limiter
        self._pace = pace
        self._line = line
        self._relay = [Bucket(*counted) for counted in pace.of_relay()]
        self._aside: dict[str, deque[Copies]] = {}
        """Messages whose domain has to wait, by the name of its bucket."""

    async def wait_s(self) -> float:
        """Seconds for which a chunk need not be claimed at all; 0.0 is now. Raises what the limiter raises."""
        if self._is_crowded:
            return MOST_WAIT_S
        wait_s = await self._limiter.take(self._relay, most_s=LOOK)
        return wait_s if wait_s > MOST_WAIT_S else 0.0

    async def next(self, run: "Run") -> Copies | None:
        """The next message, in the moment when it may begin; None when whoever asks has nothing to do here any more."""
        while not run.is_over:
            if (copies := self._choose(run)) is None:
                if not await self._until_a_domain_is_free(run):
                    return None
                continue
            match await self._ask(run, copies):
                case _Turn.NOW:
                    return copies
                case _Turn.NOBODY:
                    run.waiting.appendleft(copies)
                    return None
                case _Turn.NOT_THIS_ONE:
                    continue
        return None

    def is_past(self, copies: Copies, taken_at: float) -> bool:
        """True when a place taken then is worth nothing any more: a message now would meet that of the next place."""
        counted = (*self._pace.of_relay(), *self._pace.of_domains(_emails(copies)))
        return bool(counted) and time.monotonic() - taken_at > min(lateness_us(rate) for _, rate in counted) / 1e6

    def rest_s(self, run: "Run") -> float:
        """How long the run's chunk is to rest for those who had no turn; 0.0 when there are none."""
        if run.waiting:
            return MOST_WAIT_S
        now = time.monotonic()
        rests = [self._line.resting[name] - now for name, aside in self._aside.items() if aside]
        return max(ROOM_S, min(rests)) if rests else 0.0

    @property
    def _is_crowded(self) -> bool:
        """True when the last one in the line would have to wait for too long: he need not hold a job's slot for it."""
        return self._line.waiting > 0 and self._line.waiting * self._pace.interval_s >= MOST_WAIT_S

    def _choose(self, run: "Run") -> Copies | None:
        """Somebody of whom it is not known that his domain has to wait; first those who have waited for theirs."""
        now = time.monotonic()
        for name, aside in self._aside.items():
            if aside and self._line.resting[name] <= now:
                return aside.popleft()
        while (copies := run.next()) is not None:
            names = [name for name, _ in self._pace.of_domains(_emails(copies))]
            resting = next((name for name in names if self._line.resting.get(name, 0.0) > now), None)
            if resting is None:
                return copies
            self._put_aside(resting, copies)
        return None

    def _put_aside(self, name: str, copies: Copies) -> None:
        self._aside.setdefault(name, deque()).append(copies)

    async def _until_a_domain_is_free(self, run: "Run") -> bool:
        rests = [self._line.resting[name] for name, aside in self._aside.items() if aside]
        if not rests or (wait_s := min(rests) - time.monotonic()) > MOST_WAIT_S:
            return False
        await run.sleep(wait_s)
        return True

    async def _ask(self, run: "Run", copies: Copies) -> _Turn:
        domains = [Bucket(*counted) for counted in self._pace.of_domains(_emails(copies))]
        try:
            if not self._relay:
                return await self._ask_domains(copies, domains) if domains else _Turn.NOW
            return await self._ask_in_line(run, copies, domains)
        except Exception as error:
            # Uncounted is unlimited: nothing is sent while nobody counts.
            log.warning("cannot count, not sending", cause=str(error) or type(error).__name__)
            run.stop(rest_s=AWAY_S)
            return _Turn.NOBODY

    async def _ask_in_line(self, run: "Run", copies: Copies, domains: list[Bucket]) -> _Turn:
        if self._is_crowded:
            return _Turn.NOBODY
        self._line.waiting += 1
        try:
            # Held until the turn has come: places far ahead would be lost in a drain, and block those of other domains.
            async with self._line.turnstile:
                if run.is_over:
                    return _Turn.NOBODY
                most_s = MOST_WAIT_S
                if domains:
                    line_s = await self._limiter.take(self._relay, most_s=LOOK)
                    # A place further ahead than the line is long would leave a gap in it, which others could have used.
                    most_s = min(MOST_WAIT_S, line_s + max(ROOM_S, 2 * self._pace.interval_s))
                    if line_s > MOST_WAIT_S:
                        run.stop(rest_s=line_s)
                        return _Turn.NOBODY
                wait_s = await self._limiter.take([*self._relay, *domains], most_s=most_s)
                if wait_s <= most_s:
                    return _Turn.NOW if await run.sleep(wait_s) else _Turn.NOBODY
                if not domains:
                    run.stop(rest_s=wait_s)
                    return _Turn.NOBODY
        finally:
            self._line.waiting -= 1
        return await self._blame(copies, domains)

    async def _ask_domains(self, copies: Copies, domains: list[Bucket]) -> _Turn:
        if await self._limiter.take(domains, most_s=0.0) > 0:
            return await self._blame(copies, domains)
        return _Turn.NOW

    async def _blame(self, copies: Copies, domains: list[Bucket]) -> _Turn:
        """Put the message aside until the slowest of its domains is free again."""
        rest_s, name = max([(await self._limiter.take([bucket], most_s=LOOK), bucket.name) for bucket in domains])
        self._line.resting[name] = time.monotonic() + max(ROOM_S, rest_s)
        self._put_aside(name, copies)
        return _Turn.NOT_THIS_ONE


def _emails(copies: Copies) -> list[str]:
    return [recipient.email for recipient in copies]
