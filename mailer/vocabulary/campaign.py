"""A campaign: its states, the record it is stored as, and where it stands."""

from dataclasses import dataclass
from enum import StrEnum

from mailer.vocabulary.settings import DeliverySettings, SmtpSettings
from mailer.vocabulary.totals import Totals


class CampaignState(StrEnum):
    """`draft` until the source was read to the end; `paused` always carries a reason; the last two are final."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class PausedBy(StrEnum):
    """Who paused it: the relay (login, certificate, address); a wave of refusals; a person; a missed time to begin."""

    SERVICE = "service"
    REFUSALS = "refusals"
    OPERATOR = "operator"
    SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """What is stored when a campaign is opened and never changes afterwards. Holds no password.

    `fingerprint` is the hash of everything that makes the content; the same `key` with another fingerprint is E205.
    `smtp.ca_file` is replaced by `ca_pem`, its content, so that a worker on another machine trusts the same authority.
    `keeps_duplicates`: several rows may go to one address.
    """

    id: str
    name: str
    key: str
    fingerprint: str
    template: str
    template_sha256: str
    sender: str
    reverse_path: str
    source: str
    smtp: SmtpSettings
    delivery: DeliverySettings
    salt: str
    created_ms: int
    version: str
    ca_pem: str | None = None
    keeps_duplicates: bool = False

    @property
    def message_domain(self) -> str:
        """The right-hand side of every Message-ID: the domain of the reverse-path."""
        return self.reverse_path.rpartition("@")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignStatus:
    """Where a campaign stands, read in one step. Times are Unix milliseconds.

    `source_complete`: its own list was read to the end, or to the end of `chosen`. `chosen` are the rows that were
    asked for, as ranges with both ends (None: all). `appended` are the fingerprints of further lists that were added,
    `appending` that of one whose end has not been reached. `at_ms` is the time a scheduled campaign begins.
    """

    campaign: Campaign
    state: CampaignState
    totals: Totals
    source_complete: bool
    paused_reason: str | None = None
    paused_by: PausedBy | None = None
    cancelled_reason: str | None = None
    started_ms: int | None = None
    finished_ms: int | None = None
    next_due_ms: int | None = None
    at_ms: int | None = None
    chosen: tuple[tuple[int, int], ...] | None = None
    appended: frozenset[str] = frozenset()
    appending: str | None = None

    @property
    def is_resting(self) -> bool:
        """True when only deferred recipients are left: nothing happens before `next_due_ms`."""
        return self.totals.open > 0 and self.totals.open == self.totals.deferred

    @property
    def is_over(self) -> bool:
        """True when nothing more will happen by itself: finished, cancelled, or paused until somebody resumes it."""
        return self.state in (CampaignState.FINISHED, CampaignState.CANCELLED, CampaignState.PAUSED)
