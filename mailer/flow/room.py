"""Room on a route: how many lanes of this process are under way at once, and which campaign's lane goes next."""

import asyncio
import time
from collections import Counter, deque

from mailer.policy.congestion import Congestion

TURN_S = 1.0
"""How long a lane may keep its place while a campaign waits that has none at all."""


class Room:
    """Counts the lanes that use a route, and shares its width among the campaigns that send over it.

    A lane calls `enter`, where that is False it awaits `wait`, and whoever has entered calls `leave`. The width is that
    of the route, less while the relay asks for less, and at least 1: whoever waits waits for somebody who is under way,
    and whose `leave` lets the next one in. That is one of the campaign with the fewest lanes under way, and among its
    runs one of the first that came. Between two messages a lane asks whether it `is_wanted` elsewhere.
    """

    def __init__(self, limit: int) -> None:
        self.congestion = Congestion.none(limit)
        self._under_way = 0
        self._of: Counter[str] = Counter()  # how many of them, by campaign
        self._waiting: dict[str, dict[object, deque[asyncio.Future[bool]]]] = {}  # by campaign and run

    @property
    def is_short(self) -> bool:
        """True when more are under way than there is room for: whoever asks gives up his place, and his session."""
        return self._under_way > self.congestion.width

    def is_wanted(self, campaign: str, since: float) -> bool:
        """True when a place that this campaign has had since then (monotonic clock) is to go to another one."""
        if not self._waiting or (len(self._waiting) == 1 and campaign in self._waiting):
            return False
        own = self._of[campaign]
        least = min(self._of[other] for other in self._waiting if other != campaign)
        return least + 1 < own or (least == 0 and time.monotonic() - since > TURN_S)

    def enter(self, campaign: str) -> bool:
        """Take a place, if there is one."""
        if self._under_way >= self.congestion.width:
            return False
        self._take(campaign)
        return True

    async def wait(self, campaign: str, run: object) -> bool:
        """Wait for a place and take it. False when `let_go` was called for this run meanwhile."""
        place: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(campaign, {}).setdefault(run, deque()).append(place)
        try:
            return await place
        except asyncio.CancelledError:
            if not place.cancelled() and place.result():
                self.leave(campaign)
            raise

    def leave(self, campaign: str) -> None:
        """Give the place back; the next one who waits has it."""
        self._under_way -= 1
        self._of[campaign] -= 1
        if not self._of[campaign]:
            del self._of[campaign]
        self._serve()

    def let_go(self, campaign: str, run: object) -> None:
        """Nobody of this run needs to wait any longer: there is nothing left to do, or it is over."""
        for place in self._waiting.get(campaign, {}).pop(run, ()):
            if not place.done():
                place.set_result(False)
        if not self._waiting.get(campaign, True):
            del self._waiting[campaign]

    def worked(self, cuts: int) -> None:
        """The relay took a message, or refused it in good order, that was begun after so many `cuts`."""
        if self.congestion.is_narrow:
            self._resize(self.congestion.succeeded(cuts))

    def slowed(self, cuts: int) -> bool:
        """Less is asked for, in answer to what was begun after so many `cuts`. True when there is less room now."""
        before = self.congestion.width
        self._resize(self.congestion.slowed(cuts))
        return self.congestion.width < before

    def restarted(self) -> None:
        """The route counts as down: from now on one at a time, until it works."""
        self._resize(self.congestion.restarted())

    def _take(self, campaign: str) -> None:
        self._under_way += 1
        self._of[campaign] += 1

    def _resize(self, congestion: Congestion) -> None:
        self.congestion = congestion
        self._serve()

    def _serve(self) -> None:
        while self._waiting and self._under_way < self.congestion.width:
            campaign = min(self._waiting, key=self._of.__getitem__)
            place = self._next_of(campaign)
            if not place.done():  # else cancelled
                self._take(campaign)
                place.set_result(True)

    def _next_of(self, campaign: str) -> "asyncio.Future[bool]":
        runs = self._waiting[campaign]
        run, places = next(iter(runs.items()))
        place = places.popleft()
        if not places:
            del runs[run]
        if not runs:
            del self._waiting[campaign]
        return place
