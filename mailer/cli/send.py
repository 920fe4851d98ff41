"""`mailer send`: accept a campaign once, work the queue if nobody else does, and end with the report."""

import asyncio
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mailer.backends.redis.connection import check_server
from mailer.cli.accepting import dry_run_of, submit, tell_accepted, tell_of_siblings
from mailer.cli.complaints import server_warning, warn
from mailer.cli.confirming import ask, require_terminal
from mailer.cli.helping import accept_while_working
from mailer.cli.invocation import duration
from mailer.cli.opening import Setting, open_queue
from mailer.cli.preparing import prepare_campaign, read_campaign
from mailer.cli.waiting import LOOK_S, Rate, note_of, progress
from mailer.config.orders import missing_password
from mailer.config.route import route_of
from mailer.config.secrets import smtp_password
from mailer.vocabulary.campaign import CampaignState, CampaignStatus, PausedBy
from mailer.vocabulary.errors import RelayError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailer.backends.redis.ledgers import Ledgers
    from mailer.backends.smtp.transcript import Keep
    from mailer.cli.invocation import Invocation
    from mailer.cli.send_flags import SendFlags
    from mailer.config.orders import Orders
    from mailer.vocabulary.campaign import Campaign
    from mailer.vocabulary.route import Route

STOPPED_WAITING, UNREACHABLE, INTERRUPTED = 5, 4, 130
DESERTED_S = 1.0
"""For so long nobody has worked when `send` begins to; should the others come back, all of them work."""
NO_WORKER_S = 60.0


async def send_campaign(invocation: "Invocation", campaign: Path | None, flags: "SendFlags") -> int:
    """Accept, work or watch, report."""
    from mailer.logs import configure_logs

    configure_logs(*invocation.logs)
    wait_s = duration("--wait", flags.wait) if flags.wait is not None else None
    setting = read_campaign(invocation, campaign, flags)
    if flags.dry_run:
        return dry_run_of(invocation, prepare_campaign(setting, flags), setting, flags)
    require_terminal(yes=flags.yes)
    route = route_of(setting.configuration.smtp)
    prepared = prepare_campaign(setting, flags, route)
    async with open_queue(setting) as ledgers:
        for warning in await check_server(ledgers.redis, ledgers.keys):
            warn(server_warning(warning), invocation)
        if not flags.new and flags.test_to is None:
            await tell_of_siblings(invocation, ledgers, prepared)
        # Who does not wait does not work either.
        detached = flags.detach or flags.at is not None
        alone = not detached and not await ledgers.fleet.alive()
        password = _password(setting, route) if alone else None
        if alone:
            # Whoever leaves the work to others needs neither a mail client nor a report.
            from mailer.worker.relay import try_relay

            await try_relay(route, password, setting.configuration.smtp, transcript=_dialogue(flags))
        elif flags.transcript:
            invocation.say("  --transcript shows the dialogue of this command; here workers send")
        accepting = submit(invocation, setting, ledgers, prepared, flags)

        def orders_for(stored: "Campaign") -> "Orders":
            return _orders(setting, route, ledgers, invocation, stored, password)

        if alone:
            submitted = await accept_while_working(
                accepting, ledgers.campaigns, prepared.proposal.key, orders_for, _dialogue(flags)
            )
        else:
            submitted = await accepting
        if submitted is None:
            invocation.say("Nothing was sent.")
            return 0
        campaign_id = submitted.status.campaign.id
        tell_accepted(invocation, prepared, submitted, detached=detached)
        if detached:
            return 0
        if alone and submitted.status.paused_by is PausedBy.SERVICE and await ledgers.campaigns.resume(campaign_id):
            # The relay was just reached and logged in to: what paused the campaign has been mended.
            invocation.say(f"{campaign_id} goes on: the server answers again")
        waiting = Waiting(invocation, ledgers, campaign_id, wait_s, transcript=_dialogue(flags))
        waiting.listen()
        if alone and submitted.status.state in (CampaignState.FINISHED, CampaignState.CANCELLED):
            # Nothing was new, or everybody is on the do-not-send list.
            status = submitted.status
        elif alone:
            status = await _work(setting, route, waiting, password)
        else:
            status = await waiting.watch(until_deserted=True)
            if not waiting.ends_with(status) and await _can_work(setting, route, waiting):
                alone = True
                status = await _work(setting, route, waiting, smtp_password(setting.environ))
            elif not waiting.ends_with(status):
                status = await waiting.watch(until_deserted=False)
        if waiting.was_interrupted or (waiting.signals and not status.is_over):
            return _left(invocation, status, waiting, alone=alone)
        return await _end(invocation, ledgers, status)


def _dialogue(flags: "SendFlags") -> "Keep | None":
    """Where the lines of `--transcript` go: to stderr, above a progress bar."""
    return (lambda line: print(line, file=sys.stderr, flush=True)) if flags.transcript else None


def _password(setting: Setting, route: "Route") -> str | None:
    """The password of the route; asked for on a terminal, without echo, where it is nowhere else."""
    if route.user is None:
        return None
    known = smtp_password(setting.environ)
    if known is not None:
        return known
    if not sys.stdin.isatty():
        raise missing_password(route.user)
    return ask(f"Password of {route.user} at {route.relay}: ", echo=False)


async def _can_work(setting: Setting, route: "Route", waiting: "Waiting") -> bool:
    """Whether this command can go on where the last worker has ended, or had died before it came."""
    password = smtp_password(setting.environ) if route.user is not None else None
    if route.user is not None and password is None:
        return False
    from mailer.worker.relay import try_relay

    try:
        await try_relay(route, password, setting.configuration.smtp)
    except RelayError as error:
        warn(error, waiting.invocation)
        return False
    waiting.invocation.say("no worker is running any more: this command goes on with the work")
    return True


@dataclass(slots=True)
class Waiting:
    """Waiting for a campaign: until it is over, the time is up, or somebody says stop (Ctrl-C, SIGTERM)."""

    invocation: "Invocation"
    ledgers: "Ledgers"
    campaign_id: str
    wait_s: float | None
    transcript: "Keep | None" = None
    signals: list[int] = field(default_factory=list)
    listeners: "list[Callable[[], None]]" = field(default_factory=list)
    begun_at: float = field(default_factory=time.monotonic)

    def listen(self) -> None:
        """From now on signals are counted, and told to whoever listens."""
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._hear, number)

    def _hear(self, number: int) -> None:
        self.signals.append(number)
        if self.listeners and len(self.signals) == 1:
            self.invocation.say("\nfinishing what is on the wire; once more ends at once")
        for listener in self.listeners:
            listener()

    @property
    def was_interrupted(self) -> bool:
        """True after Ctrl-C, or a second SIGTERM; the first one only asks to stop waiting."""
        return signal.SIGINT in self.signals or len(self.signals) > 1

    def ends_with(self, status: CampaignStatus) -> bool:
        """True when this is the last look."""
        is_late = self.wait_s is not None and time.monotonic() >= self.begun_at + self.wait_s
        return status.is_over or bool(self.signals) or is_late

    async def watch(self, *, until_deserted: bool) -> CampaignStatus:
        """Look at the campaign until the end, or until no worker has been there for a moment."""
        rate = Rate()
        worked_at = looked_at = warned_at = time.monotonic()
        with progress(self.invocation, self.campaign_id) as bar:
            while True:
                status = await self.ledgers.campaigns.status(self.campaign_id)
                done = status.totals.final
                bar.show(done, status.totals.accepted, note_of(status, rate.after(done)))
                if self.ends_with(status):
                    return status
                now = time.monotonic()
                if now - looked_at >= 0.5:
                    looked_at = now
                    if await self.ledgers.fleet.alive():
                        worked_at = now
                if until_deserted and now - worked_at >= DESERTED_S:
                    return status
                if now - max(worked_at, warned_at) >= NO_WORKER_S:
                    from mailer.cli.status import deserted

                    warned_at = now
                    warn(deserted(status.totals.open, now - worked_at), self.invocation)
                await asyncio.sleep(LOOK_S)


def _orders(
    setting: Setting,
    route: "Route",
    ledgers: "Ledgers",
    invocation: "Invocation",
    stored: "Campaign",
    password: str | None,
) -> "Orders":
    """What the worker of this command is told, for a campaign as it is stored."""
    from mailer.worker.own import own_orders

    return own_orders(
        setting.configuration,
        setting.environ,
        stored,
        queue_url=ledgers.url,
        ca_pem=route.ca_pem,
        logs=invocation.logs,
        password=password,
    )


async def _work(setting: Setting, route: "Route", waiting: Waiting, password: str | None) -> CampaignStatus:
    """Be the worker while waiting; the first signal drains, a second one ends at once."""
    from mailer.worker.process import WorkerProcess

    ledgers = waiting.ledgers
    stored = (await ledgers.campaigns.status(waiting.campaign_id)).campaign
    orders = _orders(setting, route, ledgers, waiting.invocation, stored, password)
    async with WorkerProcess(orders, transcript=waiting.transcript) as worker:
        waiting.listeners.append(lambda: worker.stop() if len(waiting.signals) == 1 else worker.stop_now())
        watching = asyncio.create_task(waiting.watch(until_deserted=False))
        watching.add_done_callback(lambda _: worker.stop())
        await worker.run()
        await watching
    return await ledgers.campaigns.status(waiting.campaign_id)


def _left(invocation: "Invocation", status: CampaignStatus, waiting: Waiting, *, alone: bool) -> int:
    """Say what is left after a signal, and how to come back."""
    invocation.say(
        f"\n{status.campaign.id}: {status.totals.final} done, {status.totals.open} still queued; nothing is lost."
    )
    again = "the same command again goes on" if alone else "the workers go on"
    invocation.say(f"  {again}; mailer status {status.campaign.id} tells how far it is")
    return INTERRUPTED if waiting.was_interrupted else STOPPED_WAITING


async def _end(invocation: "Invocation", ledgers: "Ledgers", status: CampaignStatus) -> int:
    from mailer.cli.report import campaign_exit_code, print_report

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
