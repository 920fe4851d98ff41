"""Copies: the recipients of one message (To, Cc, Bcc), which goes to all of them in one transaction."""

import asyncio
from collections.abc import Awaitable, Collection, Sequence
from typing import TYPE_CHECKING

from mailer.vocabulary.chunk import Claim, Claimed
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.transmission import Answer, Answered, Unsendable

if TYPE_CHECKING:
    from mailer.interfaces.ledger import DeliveryLedger

Copies = tuple[Claimed, ...]
"""Recipients of one row with one content; most often there is one."""


def in_copies(recipients: Collection[Claimed]) -> list[Copies]:
    """Put together who gets the same message, in the order of the first of each."""
    if len({recipient.row for recipient in recipients}) == len(recipients):
        return [(recipient,) for recipient in recipients]
    by_row: dict[int, list[list[Claimed]]] = {}
    groups: list[list[Claimed]] = []
    for recipient in recipients:
        of_row = by_row.setdefault(recipient.row, [])
        group = next((group for group in of_row if group[0].frame == recipient.frame), None)
        if group is None:
            group = []
            of_row.append(group)
            groups.append(group)
        group.append(recipient)
    return [tuple(group) for group in groups]


def accepted_before(answers: Sequence[Answer]) -> list[int]:
    """For each answer, in the order of the envelope, how many recipients the relay had accepted at RCPT before it."""
    if len(answers) == 1:
        return [0]
    counts, accepted = [], 0
    for answer in answers:
        counts.append(accepted)
        match answer:
            case Answered(Phase.RCPT) | Unsendable():
                pass
            case _:
                accepted += 1
    return counts


class Marks:
    """The `sending` marks of one transaction: all of them or no message. Remembers to whom one was refused."""

    def __init__(self, ledger: "DeliveryLedger", claim: Claim, copies: Copies) -> None:
        self._ledger = ledger
        self._claim = claim
        self._copies = copies
        self.refused: set[int] = set()
        """Indices of those who may not be sent to, where others may."""

    @property
    def are_refused_to_some(self) -> bool:
        """True when the message may go to the others."""
        return 0 < len(self.refused) < len(self._copies)

    def ask(self) -> Awaitable[bool]:
        """Implements `interfaces.session.Permit`."""
        return self._mark(self._copies[0]) if len(self._copies) == 1 else self._ask_together()

    async def _ask_together(self) -> bool:
        # So that the ledger is asked once.
        answers: Sequence[bool | BaseException] = await asyncio.gather(
            *map(self._mark, self._copies), return_exceptions=True
        )
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        self.refused = {recipient.index for recipient, won in zip(self._copies, answers, strict=True) if not won}
        return not self.refused

    def _mark(self, recipient: Claimed) -> Awaitable[bool]:
        return self._ledger.mark(self._claim, recipient)
