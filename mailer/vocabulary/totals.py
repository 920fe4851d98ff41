"""The totals of a campaign, and the two identities that hold at every moment."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from mailer.vocabulary.recipient import FINAL_STATES, OPEN_STATES


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Counts of rows and of recipients by state; the field order is the order of every document."""

    rows: int = 0
    invalid: int = 0
    duplicate: int = 0
    accepted: int = 0
    queued: int = 0
    claimed: int = 0
    sending: int = 0
    deferred: int = 0
    sent: int = 0
    refused: int = 0
    failed: int = 0
    suppressed: int = 0
    cancelled: int = 0
    in_doubt: int = 0

    @classmethod
    def of(cls, states: Mapping[str, int], *, invalid: int, duplicate: int) -> "Totals":
        """Add up a count by state; accepted and rows follow from the identities."""
        counted = {state.value: states.get(state.value, 0) for state in (*OPEN_STATES, *FINAL_STATES)}
        accepted = sum(counted.values())
        return cls(
            rows=accepted + invalid + duplicate, invalid=invalid, duplicate=duplicate, accepted=accepted, **counted
        )

    @property
    def open(self) -> int:
        """Recipients that are not final yet."""
        return self.queued + self.claimed + self.sending + self.deferred

    @property
    def final(self) -> int:
        """Recipients whose outcome stands."""
        return self.sent + self.refused + self.failed + self.suppressed + self.cancelled + self.in_doubt

    @property
    def add_up(self) -> bool:
        """True when both identities of the report hold."""
        return self.rows == self.accepted + self.invalid + self.duplicate and self.accepted == self.open + self.final

    def to_dict(self) -> dict[str, int]:
        """The `totals` object of every JSON document."""
        return asdict(self)
