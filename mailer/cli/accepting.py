"""Accepting a campaign on the command line: prepare it, ask, store it, say what was left out."""

import asyncio
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from redis.exceptions import ResponseError

from mailer.backends.redis.connection import PASSING, meaning
from mailer.cli.complaints import warn
from mailer.cli.confirming import confirmed
from mailer.cli.waiting import progress
from mailer.config.redis_url import redact
from mailer.flow.counts import Submitted
from mailer.flow.preflight import preflight
from mailer.flow.submission import Submission
from mailer.flow.warnings import warnings_of
from mailer.policy.pace import least_seconds
from mailer.reports.figures import grouped, moment
from mailer.vocabulary.campaign import CampaignState
from mailer.vocabulary.errors import CHECK_FAILED, MailerError, QueueError, UsageError

if TYPE_CHECKING:
    from mailer.backends.redis.ledgers import Ledgers
    from mailer.cli.invocation import Invocation
    from mailer.cli.opening import Setting
    from mailer.cli.send_flags import SendFlags
    from mailer.flow.counts import Counts
    from mailer.flow.preparation import Prepared
    from mailer.vocabulary.campaign import CampaignStatus


def dry_run_of(invocation: "Invocation", prepared: "Prepared", setting: "Setting", flags: "SendFlags") -> int:
    """Render and check every row; exit 3 where nobody is left. Raises `BadRowsError` where one cannot be built."""
    checked = preflight(prepared, chunk_size=setting.configuration.queue.chunk_size, options=flags.options())
    if checked.problems.rows and not flags.skip_bad:
        raise checked.problems.error()
    warnings = list(warnings_of(prepared, checked.counts, checked.examples))
    for warning in warnings:
        warn(warning, invocation)
    counts = checked.counts
    if invocation.as_json:
        invocation.document(
            rows=counts.rows,
            buildable=counts.new,
            invalid=counts.invalid,
            duplicate=counts.duplicate,
            warnings=[warning.to_dict() for warning in warnings],
        )
    else:
        rows = "1 row" if counts.read == 1 else f"{counts.read} rows"
        invocation.data(f"{rows}: {counts.new} can be sent, {counts.invalid} invalid, {counts.duplicate} duplicate")
        invocation.say("Nothing was sent.")
    return 0 if counts.new else CHECK_FAILED


async def submit(
    invocation: "Invocation", setting: "Setting", ledgers: "Ledgers", prepared: "Prepared", flags: "SendFlags"
) -> Submitted | None:
    """Store the campaign, after asking unless `--yes`. None when the answer was no; Ctrl-C there is a no, too.

    Raises `QueueError` when the queue server fails meanwhile; it says how many are accepted.
    """
    interrupted = False
    options = flags.options()
    if options.exclude is not None:
        found = await ledgers.campaigns.find(options.exclude)
        if found is None:
            raise UsageError("E109", f"no campaign {options.exclude!r}", hint="mailer status   lists the ids")
        options = replace(options, exclude=found)

    def confirm(counts: "Counts") -> bool:
        nonlocal interrupted
        bar.make_room()
        try:
            return _confirmed(setting, prepared, counts, streaming=options.stream)
        except KeyboardInterrupt:
            interrupted = True
            return False

    tally = _Tally(await ledgers.campaigns.by_key(prepared.proposal.key))

    with progress(invocation, f"{prepared.proposal.name} (accepting)") as bar:

        def show(counts: "Counts") -> None:
            tally.hear(counts)
            bar.show(counts.rows, 0, "rows")

        submission = Submission(
            ledgers.intake,
            prepared,
            setting.configuration.queue,
            options=options,
            progress=show,
            confirm=None if flags.yes else confirm,
        )
        try:
            submitted = await submission.run()
        except asyncio.CancelledError:
            so_far = f"{grouped(tally.accepted)} so far"
            invocation.say(f"\nInterrupted before all was accepted ({so_far}); the same command again goes on.")
            raise
        except (*PASSING, ResponseError) as error:
            cause = meaning(redact(ledgers.url), error)
            goes_on = not flags.new and flags.test_to is None and (prepared.is_resumable or _has_key(setting))
            raise _cut_off(cause, tally.accepted, goes_on=goes_on) from error
        if interrupted:
            invocation.say("\nNothing was sent.")
            raise asyncio.CancelledError
        return submitted


class _Tally:
    """How many recipients of a campaign are accepted for certain, while its list is read."""

    def __init__(self, standing: "CampaignStatus | None") -> None:
        self._before = standing.totals.accepted if standing is not None else 0
        # More for a campaign that runs is checked before it is stored; each pass has counts of its own.
        self._is_storing = standing is None or standing.state is CampaignState.DRAFT
        self._counts: Counts | None = None

    def hear(self, counts: "Counts") -> None:
        """The counts of the pass that is under way."""
        if self._counts is not None and counts is not self._counts:
            self._is_storing = True
        self._counts = counts

    @property
    def accepted(self) -> int:
        """At least so many; whatever was under way without an answer may be accepted as well."""
        if self._counts is None or not self._is_storing:
            return self._before
        return max(self._before, self._counts.already + self._counts.new)


def _has_key(setting: "Setting") -> bool:
    return setting.configuration.campaign.key is not None


def _cut_off(error: MailerError, accepted: int, *, goes_on: bool) -> MailerError:
    """The same error, with what has been accepted before it."""
    if not isinstance(error, QueueError):
        return error
    again = "goes on from there, and nobody gets a second message" if goes_on else "is another campaign"
    return QueueError(
        error.code,
        f"{error.message}; {grouped(accepted)} accepted so far",
        why=error.why,
        hint=error.hint,
        safe=f"What was accepted stays in the ledger; the same command again {again}.",
        cause=error.cause,
        retryable=error.retryable,
    )


async def tell_of_siblings(invocation: "Invocation", ledgers: "Ledgers", prepared: "Prepared") -> None:
    """Warn where another campaign of this name is not finished: changed content is another campaign, to everybody."""
    proposal = prepared.proposal
    for campaign_id in await ledgers.campaigns.live():
        if not campaign_id.startswith(f"{proposal.name}-"):
            continue
        try:
            status = await ledgers.campaigns.status(campaign_id)
        except (QueueError, UsageError):
            # What cannot be read, or was dropped meanwhile, keeps no other campaign back; `mailer status` tells it.
            continue
        if status.campaign.name == proposal.name and status.campaign.key != proposal.key and status.totals.open:
            warning = UsageError(
                "W115",
                f"{campaign_id} has the same name and {status.totals.open} messages left; this is another campaign",
                why="The template, the list or the sender was changed: whoever got that one gets this one, too.",
                hint=f"mailer cancel {campaign_id}, then send with --exclude-campaign {campaign_id}",
            )
            warn(warning, invocation)


def _confirmed(setting: "Setting", prepared: "Prepared", counts: "Counts", *, streaming: bool) -> bool:
    """Show what is about to be sent, and ask. Of a stream nobody knows how much there will be."""
    count = counts.to_send
    rates = ", ".join(map(str, prepared.delivery.rate))
    told = [
        f"{'All' if streaming else count} messages from {prepared.proposal.sender}",
        f"through {setting.configuration.smtp.url}{_protection(setting)}",
    ]
    if rates:
        told.append(f"at {rates}{_eta(prepared, count)}")
    if prepared.test_to is not None:
        told.append(f"to {prepared.test_to.addr_spec} alone")
    if not streaming:
        told.append(f"left out: {counts.invalid} invalid, {counts.duplicate} duplicate")
    if counts.already:
        told.append(f"accepted before: {counts.already}")
    print("".join(f"\n  {line}" for line in told), file=sys.stderr)
    return confirmed(count, above=sys.maxsize if streaming else prepared.delivery.confirm_above)


def _protection(setting: "Setting") -> str:
    url = setting.configuration.smtp.url or ""
    if url.startswith("smtp+insecure:"):
        return "   without encryption"
    return "   TLS from the start" if url.startswith("smtps:") else "   STARTTLS"


def _eta(prepared: "Prepared", count: int) -> str:
    return f", about {_span(least_seconds(count, prepared.delivery.rate))}" if count else ""


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def tell_accepted(invocation: "Invocation", prepared: "Prepared", submitted: Submitted, *, detached: bool) -> None:
    """Warnings about rows left out, and the line that says what was accepted: data when the command ends with it."""
    status, totals = submitted.status, submitted.status.totals
    for warning in warnings_of(prepared, submitted.counts, submitted.examples):
        warn(warning, invocation)
    if detached and invocation.as_json:
        invocation.document(
            campaign_id=status.campaign.id,
            accepted=totals.accepted,
            invalid=totals.invalid,
            duplicate=totals.duplicate,
            suppressed=totals.suppressed,
        )
        return
    told = f"{status.campaign.id}: {totals.accepted} accepted, {totals.invalid} invalid, {totals.duplicate} duplicate"
    if submitted.counts.already:
        told += f" ({submitted.counts.already} already accepted, {submitted.counts.new} new)"
    if detached:
        invocation.data(told)
        if status.state is CampaignState.SCHEDULED and status.at_ms is not None:
            begin = moment(datetime.fromtimestamp(status.at_ms / 1000, UTC))
            invocation.say(f"  it begins at {begin}; a worker must run then: mailer worker")
        else:
            invocation.say("  workers send it: mailer worker")
    else:
        invocation.say(told)
