"""The delivery report: what the ledger says of every recipient, added up in one pass."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mailer.policy.reasons import hint_for, normalise
from mailer.policy.smtp_url import parse_smtp_url
from mailer.vocabulary.recipient import State
from mailer.vocabulary.report import CampaignHead, DomainCount, Percentiles, ReasonCount, Report
from mailer.vocabulary.totals import Totals

if TYPE_CHECKING:
    from mailer.interfaces.ledger import ReportLedger
    from mailer.vocabulary.campaign import CampaignStatus
    from mailer.vocabulary.report import RecipientRecord

MOST_REASONS = 500
"""Different reasons that are told apart; what comes after is added to the last one of its state."""


async def make_report(ledger: "ReportLedger", campaign_id: str, *, now: datetime) -> Report:
    """Read a campaign once and add it up, in memory bounded by the refusals and the number of domains.

    While it runs, the totals are counted from the same pass as everything else, so that they always fit together.
    """
    status = await ledger.status(campaign_id)
    tally = Tally()
    async for record in ledger.records(status.campaign):
        tally.add(record)
    totals = Totals.of(tally.states, invalid=status.totals.invalid, duplicate=status.totals.duplicate)
    return Report(
        as_of=now,
        campaign=head_of(status, tally, now=now),
        totals=totals,
        reasons=tally.reasons(),
        domains=tally.domains(),
        refused=tally.refused,
        timings=tally.timings(),
        attempts=dict(sorted(tally.attempts.items())),
    )


class Tally:
    """Adds up records one by one."""

    def __init__(self) -> None:
        self.states: Counter[str] = Counter()
        self.attempts: Counter[int] = Counter()
        self.refused: dict[str, tuple[int, str]] = {}
        self.tls: str | None = None
        self._reasons: dict[tuple[object, ...], int] = {}
        self._examples: dict[tuple[object, ...], RecipientRecord] = {}
        self._domains: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._waits: Counter[int] = Counter()
        self._transactions: Counter[int] = Counter()
        self._seconds: Counter[int] = Counter()

    def add(self, record: "RecipientRecord") -> None:
        """Count one recipient."""
        state = record.state.value
        self.states[state] += 1
        self.attempts[record.attempts] += 1
        self._domains[record.email.rpartition("@")[2]][state] += 1
        if record.queue_ms is not None:
            self._waits[_coarse(record.queue_ms)] += 1
        if record.state is State.SENT:
            self.tls = self.tls or record.tls
            if record.smtp_ms is not None:
                self._transactions[_coarse(record.smtp_ms)] += 1
            if record.last_try is not None:
                self._seconds[int(record.last_try.timestamp())] += 1
            return
        if record.state is State.REFUSED and record.code is not None:
            self.refused[record.email] = (record.code, record.words)
        if record.code is None and record.reason is None and record.text is None:
            return
        key = (record.state, record.code, record.enhanced_code, normalise(record.text or ""), record.phase)
        if key not in self._reasons and len(self._reasons) >= MOST_REASONS:
            key = (record.state, None, None, "other", None)
        self._reasons[key] = self._reasons.get(key, 0) + 1
        self._examples.setdefault(key, record)

    def reasons(self) -> tuple[ReasonCount, ...]:
        """Reasons by how often they occur."""
        ordered = sorted(self._reasons.items(), key=lambda item: -item[1])
        return tuple(_reason(key, count, self._examples[key]) for key, count in ordered)

    def domains(self) -> tuple[DomainCount, ...]:
        """Recipient domains by how many recipients they have."""
        ordered = sorted(self._domains.items(), key=lambda item: (-item[1].total(), item[0]))
        return tuple(
            DomainCount(
                domain=domain,
                accepted=states.total(),
                sent=states["sent"],
                deferred=states["deferred"],
                refused=states["refused"],
                failed=states["failed"],
                suppressed=states["suppressed"],
                in_doubt=states["in_doubt"],
            )
            for domain, states in ordered
        )

    def timings(self) -> dict[str, Percentiles]:
        """How long recipients waited for their first try, and how long a transaction took."""
        named = {"queue_wait": self._waits, "transaction": self._transactions}
        return {name: _percentiles(counts) for name, counts in named.items() if counts}

    @property
    def peak_rate(self) -> float | None:
        """Most messages sent within one second."""
        return float(max(self._seconds.values())) if self._seconds else None


def head_of(status: "CampaignStatus", tally: Tally, *, now: datetime) -> CampaignHead:
    """The head of the report."""
    campaign = status.campaign
    started, finished = _time(status.started_ms), _time(status.finished_ms)
    end = finished or now
    elapsed = round((end - started).total_seconds(), 3) if started is not None and end is not None else None
    sent = tally.states[State.SENT]
    return CampaignHead(
        id=campaign.id,
        name=campaign.name,
        key=campaign.key,
        state=status.state,
        paused_reason=status.paused_reason,
        source_complete=status.source_complete,
        template=campaign.template,
        template_sha256=campaign.template_sha256,
        sender=campaign.sender,
        server=parse_smtp_url(campaign.smtp.url).relay if campaign.smtp.url else None,
        tls=tally.tls,
        rate=None,
        created=_time(campaign.created_ms) or now,
        started=started,
        finished=finished,
        elapsed_s=elapsed,
        mean_rate=round(sent / elapsed, 1) if elapsed and sent else None,
        peak_rate=tally.peak_rate,
        version=campaign.version,
        cancelled_reason=status.cancelled_reason,
    )


def _reason(key: tuple[object, ...], count: int, example: "RecipientRecord") -> ReasonCount:
    return ReasonCount(
        state=example.state,
        code=example.code,
        enhanced_code=example.enhanced_code,
        # What happened once is told in its own words; what is common to many has no row and no queue id.
        text=example.text if count == 1 else str(key[3]) or None,
        phase=example.phase,
        failure=example.failure,
        count=count,
        example=example.email,
        hint=hint_for(example.code, example.enhanced_code, example.reason, example.state),
    )


def _coarse(ms: int) -> int:
    """Two significant digits: percentiles of a million values from a table that stays small."""
    if ms < 100:
        return ms
    step = int(10 ** (len(str(ms)) - 2))
    return ms // step * step


def _percentiles(counts: Mapping[int, int]) -> Percentiles:
    total = sum(counts.values())

    def at(share: float) -> int:
        passed = 0
        for value in sorted(counts):
            passed += counts[value]
            if passed >= share * total:
                return value
        return 0

    return Percentiles(p50=at(0.50), p95=at(0.95), p99=at(0.99))


def _time(ms: int | None) -> datetime | None:
    return datetime.fromtimestamp(ms / 1000, UTC) if ms is not None else None
