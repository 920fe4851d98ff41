"""Permits: the durable `sending` mark, asked for with an envelope and awaited before the first byte of a body."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mailer.backends.redis.recorder import WON, Recorder
from mailer.backends.redis.remembered import Operation
from mailer.failpoints import reached
from mailer.interfaces.session import Permit, PermitUnavailableError
from mailer.policy.addressing import key_of

if TYPE_CHECKING:
    from mailer.vocabulary.chunk import Claim, Claimed

MARK_TIMEOUT_S = 20.0
"""How long an open envelope waits for its mark; a relay waits longer for the message (RFC 5321 section 4.5.3.2.5)."""


def permit(
    recorder: Recorder, lease_holds: Callable[[], bool], claim: "Claim", recipients: "Sequence[Claimed]"
) -> Permit:
    """The mark for all of these recipients; each is a compare-and-set on the claim's token."""
    loop = asyncio.get_running_loop()

    def ask() -> asyncio.Future[bool]:
        # A bare future: a task for each mark costs a message as much as the mark itself.
        granted: asyncio.Future[bool] = loop.create_future()
        if not lease_holds():
            granted.set_result(False)
            return granted
        reached("before_mark")
        deadline = loop.call_later(MARK_TIMEOUT_S, _unavailable, granted)
        answers: list[int] = []

        def heard(answer: int) -> None:
            answers.append(answer)
            if len(answers) == len(recipients):
                deadline.cancel()
                if not granted.done():
                    reached("after_mark")
                    granted.set_result(all(answer == WON for answer in answers) and lease_holds())

        for recipient in recipients:
            recorder.submit(
                Operation(
                    claim.campaign_id,
                    claim.chunk,
                    recipient.index,
                    claim.token,
                    "g",
                    key_of(recipient.email),
                    claimed_ms=claim.redis_ms,
                    heard=heard,
                    granted=granted,
                )
            )
        return granted

    return ask


def _unavailable(granted: "asyncio.Future[bool]") -> None:
    # The mark may be applied all the same; the outcome that follows in the same order puts it right.
    if not granted.done():
        granted.set_exception(PermitUnavailableError("the ledger did not answer"))


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
