"""The delivery report: one record per recipient, and what they add up to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mailer.vocabulary.campaign import CampaignState
from mailer.vocabulary.outcome import Class
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.recipient import State
from mailer.vocabulary.totals import Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientRecord:
    """Everything the report says of one recipient. Field order is the column order of CSV and JSON Lines.

    Times are UTC; `failure` is written as `class`. `first_try` and `last_try` are the start of the first and the end of
    the last attempt; `queue_ms` runs from accepting to the first try, `smtp_ms` from MAIL to the deciding reply.
    """

    row: int
    email: str
    state: State
    code: int | None = None
    enhanced_code: str | None = None
    text: str | None = None
    phase: Phase | None = None
    failure: Class | None = None
    reason: str | None = None
    attempts: int = 0
    first_try: datetime | None = None
    last_try: datetime | None = None
    next_try: datetime | None = None
    queue_ms: int | None = None
    smtp_ms: int | None = None
    message_id: str | None = None
    server_queue_id: str | None = None
    relay: str | None = None
    worker: str | None = None
    tls: str | None = None

    @property
    def words(self) -> str:
        """Enhanced status code and text together, as smtplib's refused dict has them."""
        return f"{self.enhanced_code or ''} {self.text or ''}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonCount:
    """How many recipients share one reason, with one of them as the example and what to do about it."""

    state: State
    code: int | None
    enhanced_code: str | None
    text: str | None
    phase: Phase | None
    failure: Class | None
    count: int
    example: str
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainCount:
    """How the recipients of one domain fared."""

    domain: str
    accepted: int
    sent: int
    deferred: int
    refused: int
    failed: int
    suppressed: int
    in_doubt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Median, 95th and 99th percentile, in milliseconds."""

    p50: int
    p95: int
    p99: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignHead:
    """The head of a report: what was sent, from whom, over which relay, when and how fast (messages a second)."""

    id: str
    name: str
    key: str
    state: CampaignState
    paused_reason: str | None
    source_complete: bool
    template: str
    template_sha256: str
    sender: str
    server: str | None
    tls: str | None
    rate: str | None
    created: datetime
    started: datetime | None
    finished: datetime | None
    elapsed_s: float | None
    mean_rate: float | None
    peak_rate: float | None
    version: str
    cancelled_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One snapshot of a campaign. `refused` is smtplib's dict: address to (code, server's words)."""

    as_of: datetime
    campaign: CampaignHead
    totals: Totals
    reasons: tuple[ReasonCount, ...] = ()
    domains: tuple[DomainCount, ...] = ()
    refused: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    timings: Mapping[str, Percentiles] = field(default_factory=dict)
    """By name: `queue_wait` and `transaction`."""
    attempts: Mapping[int, int] = field(default_factory=dict)
    """Recipients by the number of attempts they took."""
