"""Room on a route: how many lanes of this process are under way at once, and whose goes next when that is little."""

import asyncio
import sys
import time

from mailer.policy.congestion import Congestion
from mailer.policy.turns import Turns

NO_LIMIT = sys.maxsize
"""While nothing is slow the pool alone says who waits."""


class Room:
    """Counts the lanes that use a route, and keeps them to its width while the relay asks for less.

    A lane calls `enter`, where that is False it awaits `wait`, and whoever has entered calls `leave`. The width is at
    least 1, so whoever waits waits for somebody who is under way, and whose `leave` lets the next one in: the first of
    the campaign that has the fewest under way.
    """

    def __init__(self, limit: int) -> None:
        self.congestion = Congestion.none(limit)
        self._most = NO_LIMIT
        self._under_way = 0
        self._turns: Turns[asyncio.Future[bool]] = Turns()
        self._waiting: dict[asyncio.Future[bool], tuple[str, object]] = {}  # of which campaign and run

    @property
    def is_short(self) -> bool:
        """True when more are under way than there is room for: whoever asks gives up his place."""
        return self._under_way > self._most

    @property
    def is_scarce(self) -> bool:
        """True when it is short and everybody under way has a session: one that is given up is nobody else's."""
        return self._most < self._under_way <= self.congestion.limit

    def is_wanted(self, campaign: str, since: float) -> bool:
        """True when a place that this campaign has had since then (monotonic clock) is to go to another one."""
        return self._turns.is_wanted(campaign, time.monotonic() - since)

    def enter(self, campaign: str) -> bool:
        """Take a place, if there is one."""
        if self._under_way >= self._most:
            return False
        self._take(campaign)
        return True

    async def wait(self, campaign: str, run: object) -> bool:
        """Wait for a place and take it. False when `let_go` was called for this run meanwhile."""
        place: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[place] = campaign, run
        self._turns.wait(campaign, place)
        try:
            return await place
        except asyncio.CancelledError:
            if not place.cancelled() and place.result():
                self.leave(campaign)
            raise
        finally:
            self._forget(place)

    def leave(self, campaign: str) -> None:
        """Give the place back; the next one who waits has it."""
        self._under_way -= 1
        self._turns.give_back(campaign)
        self._serve()

    def let_go(self, run: object) -> None:
        """Nobody of this run needs to wait any longer: there is nothing left to do, or it is over."""
        for place in [place for place, (_, whose) in self._waiting.items() if whose is run]:
            self._forget(place)
            if not place.done():
                place.set_result(False)

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

    def _resize(self, congestion: Congestion) -> None:
        self.congestion = congestion
        self._most = congestion.width if congestion.is_narrow else NO_LIMIT
        self._serve()

    def _serve(self) -> None:
        while self._turns and self._under_way < self._most:
            campaign, place = self._turns.next()
            if not place.done():  # else cancelled
                self._take(campaign)
                place.set_result(True)

    def _take(self, campaign: str) -> None:
        self._under_way += 1
        self._turns.take(campaign)

    def _forget(self, place: asyncio.Future[bool]) -> None:
        if (waiting := self._waiting.pop(place, None)) is not None:
            self._turns.leave(waiting[0], place)
