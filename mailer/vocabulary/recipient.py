"""A recipient, and the ten states of one."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What has become of a recipient. `refused` is the server's no, `failed` is ours, `sent` is not "delivered"."""

    QUEUED = "queued"
    CLAIMED = "claimed"
    SENDING = "sending"
    DEFERRED = "deferred"
    SENT = "sent"
    REFUSED = "refused"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    IN_DOUBT = "in_doubt"

    @property
    def is_final(self) -> bool:
        """True when no program leaves this state by itself."""
        return self in FINAL_STATES


OPEN_STATES = (State.QUEUED, State.CLAIMED, State.SENDING, State.DEFERRED)
FINAL_STATES = (State.SENT, State.REFUSED, State.FAILED, State.SUPPRESSED, State.CANCELLED, State.IN_DOUBT)


class LeftOutAs(StrEnum):
    """Why a row of the source never became a recipient."""

    INVALID = "invalid"
    DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A row that never became a recipient: its number (from 1, header not counted), what stood there, and why not."""

    row: int
    email: str
    kind: LeftOutAs
    reason: str
