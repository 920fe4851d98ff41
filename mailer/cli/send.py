"""`mailer send`: accept a campaign once, work the queue if nobody else does, and end with the report."""

import asyncio
import getpass
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from mailer.backends.redis.connection import check_server
from mailer.backends.smtp.pool import SmtpPool
from mailer.cli.accepting import SendFlags, dry_run_of, prepare_campaign, submit, tell_accepted
from mailer.cli.opening import Setting, open_queue, read_setting
from mailer.cli.report import campaign_exit_code, print_report
from mailer.cli.waiting import LOOK_S, Rate, is_over, note_of, progress
from mailer.config.orders import missing_password, orders_of
from mailer.config.route import route_of
from mailer.config.secrets import smtp_password
from mailer.vocabulary.campaign import CampaignState, CampaignStatus, PausedBy
from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.quantity import parse_duration
from mailer.worker.process import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailer.backends.redis.ledgers import Ledgers
    from mailer.cli.invocation import Invocation
    from mailer.vocabulary.route import Route

STOPPED_WAITING, UNREACHABLE, INTERRUPTED = 5, 4, 130
NO_WORKER_S = 60.0


async def send_campaign(invocation: "Invocation", campaign: Path | None, flags: SendFlags) -> int:
    """Accept, work or watch, report."""
    from mailer.logs import configure_logs

    configure_logs(*invocation.logs)
    wait_s = _duration(flags.wait)
    setting = read_setting(
        invocation,
        campaign,
        {
            "campaign.template": flags.template,
            "campaign.recipients": flags.recipients,
            "campaign.key": flags.key,
            "smtp.url": flags.smtp_url,
        },
    )
    if flags.dry_run:
        return dry_run_of(invocation, prepare_campaign(setting, flags, None), setting)
    if not flags.yes and not sys.stdin.isatty():
        raise UsageError("E105", "there is no terminal to ask on", hint="--yes", safe="Nothing was sent.")
    route = route_of(setting.configuration.smtp)
    prepared = prepare_campaign(setting, flags, route)
    async with open_queue(setting) as ledgers:
        for warning in await check_server(ledgers.redis, ledgers.keys):
            invocation.say(f"warning[{warning[:4]}]: {warning[5:]}")
        alone = not flags.detach and not await ledgers.fleet.alive()
        password = _password(setting, route) if alone else None
        if alone:
            await _try_relay(setting, route, password)
        submitted = await submit(invocation, setting, ledgers, prepared, flags)
        if submitted is None:
            invocation.say("Nothing was sent.")
            return 0
        campaign_id = submitted.status.campaign.id
        tell_accepted(invocation, submitted, detached=flags.detach)
        if flags.detach:
            return 0
        if alone and submitted.status.paused_by is PausedBy.SERVICE and await ledgers.campaigns.resume(campaign_id):
            # The relay was just reached and logged in to: what paused the campaign has been mended.
            invocation.say(f"{campaign_id} goes on: the server answers again")
        interrupted = _listen_for_interrupts()
        if alone:
            status = await _work(invocation, setting, ledgers, campaign_id, password, wait_s, interrupted)
        else:
            status = await _watch(invocation, ledgers, campaign_id, wait_s, interrupted)
        if interrupted.heard:
            return _interrupted(invocation, status, alone=alone)
        return await _end(invocation, ledgers, status)


def _duration(text: str | None) -> float | None:
    try:
        return parse_duration(text) if text is not None else None
    except ValueError as error:
        raise UsageError("E101", f"--wait: {error}") from error


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
    invocation: "Invocation",
    setting: Setting,
    ledgers: "Ledgers",
    campaign_id: str,
    password: str | None,
    wait_s: float | None,
    interrupts: _Interrupts,
) -> CampaignStatus:
    """Be the worker until the campaign is over or the time is up; Ctrl-C drains, a second one ends at once."""
    orders = orders_of(
        setting.configuration, setting.environ, queue_url=ledgers.url, logs=invocation.logs, password=password
    )
    async with WorkerProcess(orders) as worker:
        interrupts.listeners.append(lambda heard: worker.stop() if heard == 1 else worker.stop_now())
        watching = asyncio.create_task(_watch(invocation, ledgers, campaign_id, wait_s, interrupts))
        watching.add_done_callback(lambda _: worker.stop())
        await worker.run()
        await watching
    return await ledgers.campaigns.status(campaign_id)


async def _watch(
    invocation: "Invocation", ledgers: "Ledgers", campaign_id: str, wait_s: float | None, interrupts: _Interrupts
) -> CampaignStatus:
    """Look at the campaign until it is over, the time is up, or Ctrl-C."""
    until = time.monotonic() + wait_s if wait_s is not None else None
    rate, looked_at = Rate(), time.monotonic()
    with progress(invocation, campaign_id) as bar:
        while True:
            status = await ledgers.campaigns.status(campaign_id)
            done = status.totals.final
            bar.show(done, status.totals.accepted, note_of(status, rate.after(done)))
            if time.monotonic() - looked_at > NO_WORKER_S:
                looked_at = time.monotonic()
                await _warn_without_worker(invocation, ledgers, status)
            if is_over(status) or interrupts.heard or (until is not None and time.monotonic() >= until):
                return status
            await asyncio.sleep(LOOK_S)


async def _warn_without_worker(invocation: "Invocation", ledgers: "Ledgers", status: CampaignStatus) -> None:
    if not await ledgers.fleet.alive():
        invocation.say(
            f"warning[W510]: {status.totals.open} messages queued, but no worker has reported for {NO_WORKER_S:.0f} s\n"
            "  fix: mailer worker"
        )


def _interrupted(invocation: "Invocation", status: CampaignStatus, *, alone: bool) -> int:
    left = status.totals.open
    invocation.say(f"\n{status.campaign.id}: {status.totals.final} done, {left} still queued; nothing is lost.")
    again = "the same command again goes on" if alone else "the workers go on"
    invocation.say(f"  {again}; mailer status {status.campaign.id} tells how far it is")
    return INTERRUPTED


async def _end(invocation: "Invocation", ledgers: "Ledgers", status: CampaignStatus) -> int:
    report = await print_report(invocation, ledgers, status.campaign.id)
    if status.state is CampaignState.PAUSED:
        invocation.say(f"{status.campaign.id} is paused: {status.paused_reason}")
        invocation.say(f"  {status.totals.open} still queued; nothing is lost.")
        invocation.say(f"  fix the cause, then: mailer resume {status.campaign.id}")
        return UNREACHABLE if status.paused_by is PausedBy.SERVICE else STOPPED_WAITING
    if status.state not in (CampaignState.FINISHED, CampaignState.CANCELLED):
        invocation.say(f"{status.totals.open} still queued.   mailer status {status.campaign.id}")
        return STOPPED_WAITING
    return campaign_exit_code(report)
