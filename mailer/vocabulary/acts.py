"""What an operator decides: who is tried again, and what becomes of those in doubt."""

from dataclasses import dataclass
from enum import StrEnum

from mailer.vocabulary.recipient import State

RETRYABLE = (State.DEFERRED, State.FAILED, State.REFUSED, State.IN_DOUBT)
"""States that `retry` may take a recipient from. Sent, suppressed and cancelled never change."""
BY_DEFAULT = (State.DEFERRED, State.FAILED, State.REFUSED)
"""In doubt is not among them: the message may have arrived, so somebody has to name it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Recipients to be tried again. `codes` holds whole codes and classes (`552`, `4xx`); empty means any or none.

    `limit` is the most recipients that are taken, in the order of their rows.
    """

    states: frozenset[State] = frozenset(BY_DEFAULT)
    codes: frozenset[str] = frozenset()
    domain: str | None = None
    limit: int | None = None

    def wants(self, state: State, code: int | None, email: str) -> bool:
        """True for a recipient in this state whose last reply had this code."""
        if state not in self.states:
            return False
        if self.domain is not None and email.rpartition("@")[2] != self.domain:
            return False
        return not self.codes or (code is not None and bool({str(code), f"{code // 100}xx"} & self.codes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """How many a retry takes, and how many it would but does not.

    `without_message`: it could not be built. `suppressed`: they are on the do-not-send list, as a permanent refusal may
    have put them there; they stay what they are, since `suppressed` would be for good.
    """

    recipients: int
    without_message: int
    suppressed: int = 0

    def __add__(self, other: "Retried") -> "Retried":
        return Retried(
            recipients=self.recipients + other.recipients,
            without_message=self.without_message + other.without_message,
            suppressed=self.suppressed + other.suppressed,
        )


class Resolution(StrEnum):
    """What `resolve` makes of a recipient in doubt."""

    SENT = "sent"
    REFUSED = "refused"
    FAILED = "failed"
    RESEND = "resend"
