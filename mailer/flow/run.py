"""One run over a chunk: the recipients of a claim, the route they take, and why the run stopped if it did."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from mailer.flow.copies import Copies
from mailer.flow.room import Room
from mailer.interfaces.session import SessionPool
from mailer.policy.breaker import RouteBreaker
from mailer.vocabulary.chunk import Claim, Claimed

if TYPE_CHECKING:
    from mailer.vocabulary.campaign import Campaign

CHUNK_DEADLINE_S = 30.0
"""A chunk begins no message after so many seconds and gives the rest back: a worker has few chunks in hand, and while a
relay is slow they would all be those of one big campaign."""
PROBED_S = 2.0
"""How long a chunk waits while another one finds out whether the route works again."""

log = structlog.get_logger("mailer.delivery")


@dataclass(slots=True)
class Route:
    """A pool of sessions, whether the relay behind it is to be left alone for a while, and how much it can bear.

    `line` names the relay and the login: rates are counted for it (see `policy.pace`).
    """

    pool: SessionPool
    connections: int
    line: str
    breaker: RouteBreaker = field(default_factory=RouteBreaker)
    room: Room = field(init=False)

    def __post_init__(self) -> None:
        self.room = Room(self.connections)

    def is_wanted(self, campaign: str, since: float) -> bool:
        """True when a campaign that has sent over one session since then (monotonic clock) is to let others do so."""
        return self.pool.is_wanted(campaign, since) or self.room.is_wanted(campaign, since)

    def wait(self) -> float:
        """Seconds before anybody should try; 0.0 is now."""
        wait_s = self.breaker.wait(time.monotonic())
        return min(wait_s, PROBED_S) if self.breaker.is_probing else wait_s

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Try it; while it counts as down nobody else does. Who comes to no conclusion leaves it as it was."""
        before = self.breaker
        trying = self.breaker = before.trying(time.monotonic())
        try:
            yield
        finally:
            if self.breaker is trying:
                self.breaker = before

    def worked(self, cuts: int) -> None:
        """The server took a message, or refused it in good order, that was begun after so many `cuts`."""
        self.breaker = self.breaker.succeeded()
        self.room.worked(cuts)

    def failed(self) -> float:
        """Count trouble of the session or route. Returns the seconds it is to be left alone, 0 for none."""
        now = time.monotonic()
        was_open = self.breaker.is_open
        self.breaker = self.breaker.failed(now, jitter=random.uniform(-1, 1))  # noqa: S311 (jitter is no secret)
        if self.breaker.is_open and not was_open:
            self.room.restarted()
        return self.breaker.wait(now)

    def slowed(self, cuts: int) -> None:
        """The server asks for less, in answer to what was begun after so many `cuts` (see `Congestion`)."""
        if self.room.slowed(cuts):
            log.warning("relay asks for less", relay=self.line, connections=self.room.congestion.width)

    def down_for(self) -> float:
        """Seconds for which nobody in this process has got through."""
        return self.breaker.down_for(time.monotonic())

    def rest(self, seconds: float) -> None:
        """Leave it alone because the server asks for it."""
        self.breaker = self.breaker.resting(time.monotonic(), seconds)


RouteOf = Callable[["Campaign"], Route]
"""The route of a campaign. Raises `MailerError` when this worker cannot use it."""


@dataclass(slots=True, eq=False)
class Run:
    """One run over the recipients of one claim: what is left to send, and why it stopped if it did."""

    campaign: "Campaign"
    claim: Claim
    route: Route
    undecided: dict[int, Claimed]
    """Everybody of the claim about whom nothing has been recorded yet, by index: given back when the run ends."""
    waiting: deque[Copies] = field(default_factory=deque)
    begun_at: float = field(default_factory=time.monotonic)
    cut_before: set[int] = field(default_factory=set)
    """Indices that a connection was lost with before their body; the second time it is their own fault."""
    rest_s: float = 0.0
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    def next(self) -> Copies | None:
        """The next message to send, with its recipients, or None when there is none or the run is over."""
        return self.waiting.popleft() if self.waiting and not self.is_over else None

    @property
    def is_over(self) -> bool:
        """True when no message is to be begun any more."""
        return self.stopped.is_set() or time.monotonic() - self.begun_at > CHUNK_DEADLINE_S

    def now_ms(self) -> int:
        """The queue server's time, Unix milliseconds: due times never come from this machine's wall clock."""
        return self.claim.redis_ms + round(1000 * (time.monotonic() - self.begun_at))

    def stop(self, *, rest_s: float = 0.0) -> None:
        """Begin nothing more; what is left is given back and rests for so long."""
        self.stopped.set()
        self.rest_s = max(self.rest_s, rest_s)
        self.route.room.let_go(self)

    async def sleep(self, seconds: float) -> bool:
        """Wait so long, or until the run is stopped. False when it is over now."""
        if seconds > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.stopped.wait()
        return not self.is_over
