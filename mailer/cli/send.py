"""`mailer send`: accept a campaign once, work the queue if nobody else does, and end with the report."""

import asyncio
import getpass
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mailer.backends.redis.connection import check_server
from mailer.backends.smtp.pool import SmtpPool
from mailer.backends.sources.opening import open_source
from mailer.cli.complaints import warn
from mailer.cli.opening import Setting, open_queue, read_setting
from mailer.cli.report import campaign_exit_code, print_report
from mailer.cli.waiting import LOOK_S, Rate, is_over, note_of, progress
from mailer.config.orders import missing_password, orders_of
from mailer.config.route import route_of
from mailer.config.secrets import smtp_password
from mailer.flow.preflight import preflight
from mailer.flow.preparation import Prepared, prepare
from mailer.flow.submission import Submission, Submitted
from mailer.flow.warnings import warnings_of
from mailer.vocabulary.campaign import CampaignState, CampaignStatus, PausedBy
from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.quantity import parse_duration
from mailer.worker.process import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailer.backends.redis.ledgers import Ledgers
    from mailer.backends.sources.opening import Format
    from mailer.cli.common import Common
    from mailer.flow.submission import Counts
    from mailer.interfaces.source import RecipientSource
    from mailer.vocabulary.route import Route

STOPPED_WAITING, UNREACHABLE, INTERRUPTED = 5, 4, 130


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


async def send_campaign(common: "Common", campaign: Path | None, flags: SendFlags) -> int:
    """Accept, work or watch, report."""
    from mailer.logs import configure_logs

    configure_logs(*common.logs)
    wait_s = _duration(flags.wait)
    setting = read_setting(
        common,
        campaign,
        {
            "campaign.template": flags.template,
            "campaign.recipients": flags.recipients,
            "campaign.key": flags.key,
            "smtp.url": flags.smtp_url,
        },
    )
    if flags.dry_run:
        return _dry_run(common, _prepare(setting, flags, None), setting)
    if not flags.yes and not sys.stdin.isatty():
        raise UsageError("E105", "there is no terminal to ask on", hint="--yes", safe="Nothing was sent.")
    route = route_of(setting.configuration.smtp)
    prepared = _prepare(setting, flags, route)
    async with open_queue(setting) as ledgers:
        for warning in await check_server(ledgers.redis, ledgers.keys):
            common.say(f"warning[{warning[:4]}]: {warning[5:]}")
        alone = not flags.detach and not await ledgers.fleet.alive()
        password = _password(setting, route) if alone else None
        if alone:
            await _try_relay(setting, route, password)
        submitted = await _submit(common, setting, ledgers, prepared, flags)
        if submitted is None:
            common.say("Nothing was sent.")
            return 0
        campaign_id = submitted.status.campaign.id
        _tell_accepted(common, submitted, detached=flags.detach)
        if flags.detach:
            return 0
        if alone and submitted.status.paused_by is PausedBy.SERVICE and await ledgers.campaigns.resume(campaign_id):
            # The relay was just reached and logged in to: what paused the campaign has been mended.
            common.say(f"{campaign_id} goes on: the server answers again")
        interrupted = _listen_for_interrupts()
        if alone:
            status = await _work(common, setting, ledgers, campaign_id, password, wait_s, interrupted)
        else:
            status = await _watch(common, ledgers, campaign_id, wait_s, interrupted)
        if interrupted.heard:
            return _interrupted(common, status, alone=alone)
        return await _end(common, ledgers, status)


def _duration(text: str | None) -> float | None:
    try:
        return parse_duration(text) if text is not None else None
    except ValueError as error:
        raise UsageError("E101", f"--wait: {error}") from error


def _prepare(setting: Setting, flags: SendFlags, route: "Route | None") -> Prepared:
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
        base=configuration.folder_of("campaign.template"),
        open_source=opener,
        ca_pem=route.ca_pem if route is not None else None,
        now_ms=int(time.time() * 1000),
    )


def _dry_run(common: "Common", prepared: Prepared, setting: Setting) -> int:
    """Render and check every row. Raises `BadRowsError` where one cannot be built."""
    checked = preflight(prepared, chunk_size=setting.configuration.queue.chunk_size)
    for warning in warnings_of(checked.source, checked.counts, checked.examples):
        warn(warning, common)
    counts = checked.counts
    if common.as_json:
        common.document(rows=counts.rows, buildable=counts.new, invalid=counts.invalid, duplicate=counts.duplicate)
    else:
        common.data(
            f"{counts.rows} rows: {counts.new} can be sent, {counts.invalid} invalid, {counts.duplicate} duplicate"
        )
        common.say("Nothing was sent.")
    return 0


def _password(setting: Setting, route: "Route") -> str | None:
    """The password of the route; asked for on a terminal, without echo, where it is nowhere else."""
    if route.user is None:
        return None
    known = smtp_password(setting.environ)
    if known is not None:
        return known
    if not sys.stdin.isatty():
        raise missing_password(route.user)
    return getpass.getpass(f"Password of {route.user} at {route.relay}: ", stream=sys.stderr)


async def _try_relay(setting: Setting, route: "Route", password: str | None) -> None:
    """Open one session before anything is accepted. Raises `RelayError` E4xx."""
    pool = SmtpPool(route, password, setting.configuration.smtp)
    try:
        async with pool.session():
            pass
    finally:
        await pool.close()


async def _submit(
    common: "Common", setting: Setting, ledgers: "Ledgers", prepared: Prepared, flags: SendFlags
) -> Submitted | None:
    with progress(common, f"{prepared.proposal.name} (accepting)") as bar:
        submission = Submission(
            ledgers.intake,
            prepared,
            setting.configuration.queue,
            skip_bad=flags.skip_bad,
            progress=lambda counts: bar.show(counts.rows, 0, "rows"),
            confirm=None if flags.yes else lambda counts: _confirmed(setting, prepared, counts),
        )
        return await submission.run()


def _confirmed(setting: Setting, prepared: Prepared, counts: "Counts") -> bool:
    """Ask on the terminal; above `confirm_above` the number has to be typed."""
    smtp = setting.configuration.smtp
    count = counts.new + counts.already
    print(
        f"\n  {count} messages from {prepared.proposal.sender}\n  through {smtp.url}\n"
        f"  left out: {counts.invalid} invalid, {counts.duplicate} duplicate",
        file=sys.stderr,
    )
    try:
        if count > prepared.delivery.confirm_above:
            print(f"  Type {count} to send them: ", end="", file=sys.stderr, flush=True)
            return input().strip() == str(count)
        print("  Send them? [y/N] ", end="", file=sys.stderr, flush=True)
        return input().strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _tell_accepted(common: "Common", submitted: Submitted, *, detached: bool) -> None:
    status, totals = submitted.status, submitted.status.totals
    for warning in warnings_of(status.campaign.source, submitted.counts, submitted.examples):
        warn(warning, common)
    if detached and common.as_json:
        common.document(
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
        common.data(told)
        common.say("  workers send it: mailer worker")
    else:
        common.say(told)


class _Interrupts:
    """Ctrl-C and SIGTERM while waiting: counted, and told to whoever listens."""

    def __init__(self) -> None:
        self.heard = 0
        self.listeners: list[Callable[[int], None]] = []

    def hear(self) -> None:
        self.heard += 1
        for listener in self.listeners:
            listener(self.heard)


def _listen_for_interrupts() -> _Interrupts:
    interrupts = _Interrupts()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, interrupts.hear)
    return interrupts


async def _work(
    common: "Common",
    setting: Setting,
    ledgers: "Ledgers",
    campaign_id: str,
    password: str | None,
    wait_s: float | None,
    interrupts: _Interrupts,
) -> CampaignStatus:
    """Be the worker until the campaign is over or the time is up; Ctrl-C drains, a second one ends at once."""
    orders = orders_of(
        setting.configuration, setting.environ, queue_url=ledgers.url, logs=common.logs, password=password
    )
    async with WorkerProcess(orders) as worker:
        interrupts.listeners.append(lambda heard: worker.stop() if heard == 1 else worker.stop_now())
        watching = asyncio.create_task(_watch(common, ledgers, campaign_id, wait_s, interrupts))
        watching.add_done_callback(lambda _: worker.stop())
        await worker.run()
        await watching
    return await ledgers.campaigns.status(campaign_id)


async def _watch(
    common: "Common", ledgers: "Ledgers", campaign_id: str, wait_s: float | None, interrupts: _Interrupts
) -> CampaignStatus:
    """Look at the campaign until it is over, the time is up, or Ctrl-C."""
    until = time.monotonic() + wait_s if wait_s is not None else None
    rate = Rate()
    with progress(common, campaign_id) as bar:
        while True:
            status = await ledgers.campaigns.status(campaign_id)
            done = status.totals.final
            bar.show(done, status.totals.accepted, note_of(status, rate.after(done)))
            if is_over(status) or interrupts.heard or (until is not None and time.monotonic() >= until):
                return status
            await asyncio.sleep(LOOK_S)


def _interrupted(common: "Common", status: CampaignStatus, *, alone: bool) -> int:
    left = status.totals.open
    common.say(f"\n{status.campaign.id}: {status.totals.final} done, {left} still queued; nothing is lost.")
    again = "the same command again goes on" if alone else "the workers go on"
    common.say(f"  {again}; mailer status {status.campaign.id} tells how far it is")
    return INTERRUPTED


async def _end(common: "Common", ledgers: "Ledgers", status: CampaignStatus) -> int:
    report = await print_report(common, ledgers, status.campaign.id)
    if status.state is CampaignState.PAUSED:
        common.say(f"{status.campaign.id} is paused: {status.paused_reason}")
        common.say(f"  {status.totals.open} still queued; nothing is lost.")
        common.say(f"  fix the cause, then: mailer resume {status.campaign.id}")
        return UNREACHABLE if status.paused_by is PausedBy.SERVICE else STOPPED_WAITING
    if status.state not in (CampaignState.FINISHED, CampaignState.CANCELLED):
        common.say(f"{status.totals.open} still queued.   mailer status {status.campaign.id}")
        return STOPPED_WAITING
    return campaign_exit_code(report)
