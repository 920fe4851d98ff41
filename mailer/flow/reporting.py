"""The delivery report: what the ledger says of every recipient, added up in one pass."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from mailer.policy.smtp_url import parse_smtp_url
from mailer.policy.tally import Tally
from mailer.vocabulary.recipient import State
from mailer.vocabulary.report import CampaignHead, Report
from mailer.vocabulary.totals import Totals

if TYPE_CHECKING:
    from mailer.interfaces.ledger import ReportLedger
    from mailer.vocabulary.campaign import Campaign, CampaignStatus


@runtime_checkable
class Counting(Protocol):
    """A ledger that adds up a campaign where the data are: a million recipients in seconds."""

    async def add_up(self, campaign: "Campaign", tally: Tally) -> None:
        """Add everybody to the tally; each chunk of them as of one moment, so nobody is counted twice or not."""


async def make_report(ledger: "ReportLedger", campaign_id: str, *, now: datetime) -> Report:
    """Read a campaign once and add it up, in memory bounded by the refusals and the number of domains.

    While it runs, the totals are counted from the same pass as everything else, so that they always fit together.
    """
    status = await ledger.status(campaign_id)
    tally = Tally()
    if isinstance(ledger, Counting):
        await ledger.add_up(status.campaign, tally)
    else:
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


def _time(ms: int | None) -> datetime | None:
    return datetime.fromtimestamp(ms / 1000, UTC) if ms is not None else None
