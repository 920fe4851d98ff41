"""A recipient's event, as a listener gets it: what was decided, when, and in whose words."""

from dataclasses import dataclass
from datetime import datetime

from mailer.vocabulary.phase import Phase
from mailer.vocabulary.recipient import State


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientEvent:
    """One change of a recipient's state. `at` is UTC, by the clock of the worker that decided.

    Everything that ends an attempt is one: sent, refused, deferred, failed, suppressed, cancelled, in_doubt, and
    `queued` where a recipient came back from a worker that died. Taking a recipient up (claimed, sending) is none.
    """

    campaign_id: str
    row: int
    email: str
    state: State
    at: datetime
    code: int | None = None
    enhanced_code: str | None = None
    text: str | None = None
    phase: Phase | None = None
    reason: str | None = None

    @property
    def words(self) -> str:
        """Enhanced status code and text together, as smtplib's refused dict has them."""
        return f"{self.enhanced_code or ''} {self.text or ''}".strip()
