"""Accepting a campaign on the command line: prepare it, ask, store it, say what was left out."""

import asyncio
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mailer.backends.sources.opening import open_source
from mailer.cli.complaints import warn
from mailer.cli.confirming import confirmed
from mailer.cli.waiting import progress
from mailer.flow.preflight import preflight
from mailer.flow.preparation import Prepared, prepare
from mailer.flow.submission import Submission, Submitted
from mailer.flow.warnings import warnings_of

if TYPE_CHECKING:
    from mailer.backends.redis.ledgers import Ledgers
    from mailer.backends.sources.opening import Format
    from mailer.cli.invocation import Invocation
    from mailer.cli.opening import Setting
    from mailer.flow.submission import Counts
    from mailer.interfaces.source import RecipientSource
    from mailer.vocabulary.route import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class SendFlags:
    """The flags of `mailer send`, as given."""

    template: str | None = None
    recipients: str | None = None
    smtp_url: str | None = None
    key: str | None = None
    delimiter: str | None = None
    recipients_format: "Format | None" = None
    dry_run: bool = False
    skip_bad: bool = False
    detach: bool = False
    wait: str | None = None
    yes: bool = False


def prepare_campaign(setting: "Setting", flags: SendFlags, route: "Route | None") -> Prepared:
    """Load template and list as the settings and flags name them. Raises `MailerError` E1xx to E3xx."""
    configuration = setting.configuration

    def opener(spec: str, base: Path, needed: tuple[str, ...]) -> "RecipientSource":
        return open_source(
            spec,
            base=configuration.folder_of("campaign.recipients"),
            delimiter=flags.delimiter,
            format=flags.recipients_format,
            needed=needed,
        )

    return prepare(
        configuration.campaign,
        configuration.smtp,
        configuration.delivery,
        base=_as_seen_from_here(configuration.folder_of("campaign.template")),
        open_source=opener,
        ca_pem=route.ca_pem if route is not None else None,
        now_ms=int(time.time() * 1000),
    )


def _as_seen_from_here(folder: Path) -> Path:
    """The folder as a person in the current one would write it: places in templates are told with it."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def dry_run_of(invocation: "Invocation", prepared: Prepared, setting: "Setting") -> int:
    """Render and check every row. Raises `BadRowsError` where one cannot be built."""
    checked = preflight(prepared, chunk_size=setting.configuration.queue.chunk_size)
    for warning in warnings_of(checked.source, checked.counts, checked.examples):
        warn(warning, invocation)
    counts = checked.counts
    if invocation.as_json:
        invocation.document(rows=counts.rows, buildable=counts.new, invalid=counts.invalid, duplicate=counts.duplicate)
    else:
        invocation.data(
            f"{counts.rows} rows: {counts.new} can be sent, {counts.invalid} invalid, {counts.duplicate} duplicate"
        )
        invocation.say("Nothing was sent.")
    return 0


async def submit(
    invocation: "Invocation", setting: "Setting", ledgers: "Ledgers", prepared: Prepared, flags: SendFlags
) -> Submitted | None:
    """Store the campaign, after asking unless `--yes`. None when the answer was no; Ctrl-C there is a no, too."""
    interrupted = False

    def confirm(counts: "Counts") -> bool:
        nonlocal interrupted
        bar.make_room()
        try:
            return _confirmed(setting, prepared, counts)
        except KeyboardInterrupt:
            interrupted = True
            return False

    with progress(invocation, f"{prepared.proposal.name} (accepting)") as bar:
        submission = Submission(
            ledgers.intake,
            prepared,
            setting.configuration.queue,
            skip_bad=flags.skip_bad,
            progress=lambda counts: bar.show(counts.rows, 0, "rows"),
            confirm=None if flags.yes else confirm,
        )
        try:
            submitted = await submission.run()
        except asyncio.CancelledError:
            invocation.say("\nInterrupted before all was accepted; the same command again goes on.")
            raise
        if interrupted:
            invocation.say("\nNothing was sent.")
            raise asyncio.CancelledError
        return submitted


def _confirmed(setting: "Setting", prepared: Prepared, counts: "Counts") -> bool:
    """Show what is about to be sent, and ask."""
    count = counts.new + counts.already
    print(
        f"\n  {count} messages from {prepared.proposal.sender}\n  through {setting.configuration.smtp.url}\n"
        f"  left out: {counts.invalid} invalid, {counts.duplicate} duplicate",
        file=sys.stderr,
    )
    return confirmed(count, above=prepared.delivery.confirm_above)


def tell_accepted(invocation: "Invocation", submitted: Submitted, *, detached: bool) -> None:
    """Warnings about rows left out, and the line that says what was accepted: data when the command ends with it."""
    status, totals = submitted.status, submitted.status.totals
    for warning in warnings_of(status.campaign.source, submitted.counts, submitted.examples):
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
        invocation.say("  workers send it: mailer worker")
    else:
        invocation.say(told)
