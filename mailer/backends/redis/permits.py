"""Permits: the durable `sending` mark, asked for with an envelope and awaited before the first byte of a body."""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from mailer.backends.redis.operation import Operation
from mailer.backends.redis.recorder import WON, Recorder
from mailer.failpoints import reached
from mailer.interfaces.session import PermitUnavailableError

if TYPE_CHECKING:
    from mailer.vocabulary.chunk import Claim, Claimed

MARK_TIMEOUT_S = 20.0
"""How long an open envelope waits for its mark; a relay waits longer for the message (RFC 5321 section 4.5.3.2.5)."""


class Permits:
    """Asks for the marks of one worker process, and waits for none of them longer than `MARK_TIMEOUT_S`."""

    def __init__(self, recorder: Recorder, lease_holds: Callable[[], bool]) -> None:
        self._recorder = recorder
        self._lease_holds = lease_holds
        # A bare future and one timer for all of them: a task and a timer for each cost as much as the mark itself.
        self._waiting: deque[tuple[float, asyncio.Future[bool]]] = deque()
        self._alarm: asyncio.TimerHandle | None = None

    def ask(self, claim: "Claim", recipient: "Claimed") -> "asyncio.Future[bool]":
        """A compare-and-set on the claim's token. The answer may be `PermitUnavailableError`."""
        loop = asyncio.get_running_loop()
        granted: asyncio.Future[bool] = loop.create_future()
        if not self._lease_holds():
            granted.set_result(False)
            return granted
        reached("before_mark")
        while self._waiting and self._waiting[0][1].done():
            self._waiting.popleft()
        self._waiting.append((loop.time() + MARK_TIMEOUT_S, granted))
        if self._alarm is None:
            self._alarm = loop.call_later(MARK_TIMEOUT_S, self._ring)
        self._recorder.submit(
            Operation(
                claim.campaign_id,
                claim.chunk,
                recipient.index,
                claim.token,
                "g",
                recipient.key,
                claimed_ms=claim.redis_ms,
                heard=partial(self._heard, granted),
                granted=granted,
            )
        )
        return granted

    def _heard(self, granted: "asyncio.Future[bool]", answer: int) -> None:
        if not granted.done():
            reached("after_mark")
            granted.set_result(answer == WON and self._lease_holds())

    def _ring(self) -> None:
        # A mark may be applied all the same; the outcome that follows in the same order puts it right.
        loop = asyncio.get_running_loop()
        while self._waiting and (self._waiting[0][1].done() or self._waiting[0][0] <= loop.time()):
            granted = self._waiting.popleft()[1]
            if not granted.done():
                granted.set_exception(PermitUnavailableError("the ledger did not answer"))
        self._alarm = loop.call_at(self._waiting[0][0], self._ring) if self._waiting else None


class Unanswered:
    """Counts outcomes of one claim that the queue server has not acknowledged yet."""

    def __init__(self) -> None:
        self._count = 0
        self.none_left = asyncio.Event()

    def more(self) -> None:
        """One more is under way."""
        self._count += 1
        self.none_left.clear()

    def fewer(self, _answer: int) -> None:
        """One has arrived."""
        self._count -= 1
        if self._count == 0:
            self.none_left.set()
