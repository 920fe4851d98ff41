"""`mailer demo`: everything there is, on this computer alone, ending in a report with every outcome."""

import asyncio
import shutil
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailer.backends import embedded
from mailer.backends.attachment_files import AttachmentFolder
from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from mailer.backends.sources.opening import open_source
from mailer.capture.mailbox import Mailbox
from mailer.capture.server import CaptureServer
from mailer.cli.capture import mail_page
from mailer.cli.opening import Setting, read_setting
from mailer.cli.waiting import Rate, note_of, progress
from mailer.config.orders import Orders
from mailer.demo.people import FEWEST, SUPPRESSED, Plan, plan, template_folder, write_list
from mailer.flow.preparation import prepare
from mailer.flow.reporting import make_report
from mailer.flow.submission import Submission
from mailer.reports.document import report_document
from mailer.reports.files import saving
from mailer.reports.terminal import report_text
from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.send_options import SendOptions
from mailer.vocabulary.settings import CampaignSettings, DeliverySettings, QueueSettings, SmtpSettings
from mailer.web.pulse import Pulse
from mailer.worker.supervisor import Supervisor

if TYPE_CHECKING:
    from mailer.cli.invocation import Invocation
    from mailer.vocabulary.campaign import CampaignStatus
    from mailer.vocabulary.report import Report
    from mailer.web.website import Website

PROCESSES, CONNECTIONS = 2, 5
PORT = 1025
FAR_S = 30.0
"""A retry that is due later than this is not waited for."""
NOT_AS_PLANNED, STOPPED, INTERRUPTED = 3, 5, 130


@dataclass(slots=True, kw_only=True)
class Stage:
    """What the demo has started."""

    ledgers: Ledgers
    capture: CaptureServer
    supervisor: Supervisor
    working: "asyncio.Task[None]"
    folder: Path
    signals: list[int]
    over: asyncio.Event
    site: "Website | None"

    @property
    def code(self) -> int:
        """How the demo ends when it is told to: Ctrl-C interrupts, SIGTERM stops the waiting."""
        return INTERRUPTED if signal.SIGINT in self.signals or len(self.signals) > 1 else STOPPED


async def demonstrate(invocation: "Invocation", *, messages: int, keep: bool, web: bool = True) -> int:
    """Run the demo. 0 when the outcomes are exactly the planned ones, else 3; 130 after Ctrl-C, 5 after SIGTERM.

    `web` serves the page of captured mail meanwhile, where the `[web]` extra is installed.
    """
    from mailer.logs import configure_logs

    if messages < FEWEST:
        raise UsageError("E101", f"--messages {messages}: at least {FEWEST}, so that every outcome has an address")
    configure_logs(invocation.logs[0], "error" if invocation.verbosity <= 0 else invocation.logs[1])
    setting = read_setting(invocation)
    invocation.say("mailer demo · everything below runs on your computer and nothing leaves it")
    with _only_one(setting):
        async with _stage(invocation, setting, web=web) as stage:
            campaign_id = await _accepted(stage, messages)
            if campaign_id is None or not await _watch(invocation, stage, campaign_id):
                code = stage.code
            else:
                code = await _tell(invocation, stage, campaign_id, plan(messages), keep=keep)
                if keep:
                    await stage.over.wait()
                    code = stage.code if stage.code == INTERRUPTED else code
            was_stopped = stage.over.is_set()
        if was_stopped:
            invocation.say("\nStopped; nothing is left running.")
    return code


@contextmanager
def _only_one(setting: Setting) -> Iterator[None]:
    """A second demo would take the queue away from the first. Raises `UsageError` E123."""
    import fcntl

    setting.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (setting.data_dir / "demo.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                "E123",
                "another demo is running",
                where=str(setting.demo_dir),
                hint="end it with Ctrl-C, or give this one a place of its own: MAILER_DATA_DIR=/tmp/second-demo",
            ) from None
        yield


@asynccontextmanager
async def _stage(invocation: "Invocation", setting: Setting, *, web: bool) -> AsyncIterator[Stage]:
    """Queue, mail server and workers of the demo's own; all of it is gone when the block ends."""
    folder = setting.demo_dir
    async with AsyncExitStack() as stack:
        over = asyncio.Event()
        signals: list[int] = []
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, _hear, number, signals, over)
        mailbox, pulse = Mailbox(), Pulse()
        # In a thread, and begun first: the queue server starts while the modules of the page are loaded.
        loading = asyncio.get_running_loop().run_in_executor(None, _page, mailbox, pulse) if web else None
        # Only what a demo left behind: the user's own queue lies one folder higher.
        embedded.stop(folder)
        shutil.rmtree(folder, ignore_errors=True)
        stack.callback(embedded.stop, folder)
        url = embedded.ensure(folder)
        ledgers = await stack.enter_async_context(open_ledgers(url, prefix="mailer", lease_s=10.0))
        found = embedded.status(folder)
        invocation.say(
            f"  ✓ queue    {f'{found.server} {found.version}' if found else ''} (embedded)   private to the demo"
        )
        capture = await stack.enter_async_context(
            CaptureServer(folder / "capture", port=PORT, mailbox=mailbox, on_message=lambda _: pulse.beat())
        )
        invocation.say(f"  ✓ smtp     capture server            localhost:{capture.port}  STARTTLS required, demo CA")
        supervisor = Supervisor(Orders(queue_url=url, grace_s=10.0, log_level="error"), PROCESSES)
        working = asyncio.create_task(supervisor.run())
        pages = AsyncExitStack()
        stack.push_async_callback(_end, supervisor, working, pages)
        site = await loading if loading is not None else None
        if site is not None:
            await pages.enter_async_context(site)
            invocation.say(f"  ✓ web      {site.url}     captured mail")
        invocation.say(f"  ✓ workers  {PROCESSES} processes × {CONNECTIONS} connections\n")
        yield Stage(
            ledgers=ledgers,
            capture=capture,
            supervisor=supervisor,
            working=working,
            folder=folder,
            signals=signals,
            over=over,
            site=site,
        )


def _page(mailbox: Mailbox, pulse: Pulse) -> "Website | None":
    """The page of captured mail, not running yet; None without the `[web]` extra."""
    try:
        return mail_page(mailbox, pulse)
    except UsageError:
        return None


def _hear(number: int, signals: list[int], over: asyncio.Event) -> None:
    signals.append(number)
    over.set()


async def _end(supervisor: Supervisor, working: "asyncio.Task[None]", pages: AsyncExitStack) -> None:
    supervisor.stop()
    try:
        # While the workers end: neither takes long, and both together no longer.
        await pages.aclose()
    finally:
        await working


async def _accepted(stage: Stage, messages: int) -> str | None:
    """The id of the campaign; None when somebody wants to stop first."""
    accepting = asyncio.create_task(_accept(stage, messages))
    stopping = asyncio.create_task(stage.over.wait())
    await asyncio.wait({accepting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not accepting.done():
        accepting.cancel()
        await asyncio.wait({accepting})
        return None
    return await accepting


async def _accept(stage: Stage, messages: int) -> str:
    """The production path: prepare, submit, seal."""
    await stage.ledgers.suppression.add(SUPPRESSED, "unsubscribed in the demo")
    write_list(stage.folder / "people.jsonl", messages)
    prepared = prepare(
        CampaignSettings(
            name="autumn-offer",
            template=str(template_folder()),
            sender="The Autumn Shop <hello@autumn-shop.example>",
            recipients="people.jsonl",
            to="{{ first_name }} <{{ email }}>",
            unsubscribe_url="https://autumn-shop.example/unsubscribe/{{ number }}",
        ),
        SmtpSettings(url=stage.capture.url, max_connections=CONNECTIONS),
        DeliverySettings(retry_delays=(1.0, 300.0, 900.0, 3600.0)),
        base=stage.folder,
        attachments=stage.folder,
        open_source=lambda spec, base, needed: open_source(spec, base=base, needed=needed),
        attach_below=AttachmentFolder,
        ca_pem=stage.capture.ca_file.read_text(encoding="utf-8"),
        now_ms=int(time.time() * 1000),
    )
    submitted = await Submission(stage.ledgers.intake, prepared, QueueSettings(), SendOptions(skip_bad=True)).run()
    assert submitted is not None  # noqa: S101 (nobody is asked)
    return submitted.status.campaign.id


async def _watch(invocation: "Invocation", stage: Stage, campaign_id: str) -> bool:
    """Until nothing is left but retries far off. False after Ctrl-C."""
    rate = Rate()
    with progress(invocation, campaign_id.rpartition("-")[0]) as bar:
        while not stage.over.is_set():
            if stage.working.done():
                await stage.working  # raises what kept the workers from starting
            status = await stage.ledgers.campaigns.status(campaign_id)
            done = status.totals.accepted - status.totals.open
            bar.show(done + status.totals.deferred, status.totals.accepted, note_of(status, rate.after(done)))
            if _rests(status):
                return True
            await asyncio.sleep(0.05)
    return False


def _rests(status: "CampaignStatus") -> bool:
    far = status.next_due_ms is not None and status.next_due_ms > (time.time() + FAR_S) * 1000
    return status.totals.open == 0 or (status.is_resting and far)


async def _tell(invocation: "Invocation", stage: Stage, campaign_id: str, planned: Plan, *, keep: bool) -> int:
    """Print the report, save it, compare it with the plan."""
    ledger = stage.ledgers.reading
    report = await make_report(ledger, campaign_id, now=datetime.now(UTC))
    status = await ledger.status(campaign_id)
    special: dict[str, Any] = {}
    with saving(report, Path(campaign_id), ("html", "csv", "json")) as (paths, add):
        async for record in ledger.records(status.campaign):
            add(record)
            if record.email in planned.special:
                special[record.email] = record.state
    deviations = _deviations(report, special, planned, stage.capture.mailbox.accepted)
    if invocation.as_json:
        variables = _variables(stage)
        demo = {
            "as_planned": not deviations,
            "deviations": deviations,
            "captured": stage.capture.mailbox.accepted,
            "web": stage.site.url if stage.site is not None else None,
            "files": [str(path) for path in paths],
            "variables": variables,
        }
        invocation.document(**{**report_document(report), "schema_version": 1, "demo": demo})
    else:
        next_try = datetime.fromtimestamp(status.next_due_ms / 1000, UTC) if status.next_due_ms else None
        note = f"report: ./{campaign_id}/report.html  .csv  .json"
        invocation.data(
            report_text(report, width=invocation.width, color=invocation.color, next_try=next_try, note=note)
        )
        _next_steps(invocation, stage, campaign_id, keep=keep)
    for deviation in deviations:
        invocation.say(f"  ✗ {deviation}")
    return NOT_AS_PLANNED if deviations else 0


def _deviations(report: "Report", special: dict[str, Any], planned: Plan, captured: int) -> list[str]:
    found = [
        f"{email} is {special.get(email, 'missing')}, planned: {state}"
        for email, state in planned.special.items()
        if special.get(email) is not state
    ]
    totals = report.totals.to_dict()
    expected = {**planned.states, "invalid": planned.invalid, "duplicate": planned.duplicate}
    found += [f"{name}: {totals[name]}, planned: {count}" for name, count in expected.items() if totals[name] != count]
    if not report.totals.add_up:
        found.append("the totals do not add up")
    if captured != totals["sent"]:
        found.append(f"the capture server took {captured} messages, the report says {totals['sent']} sent")
    return found


def _variables(stage: Stage) -> dict[str, str]:
    return {
        "MAILER_DATA_DIR": str(stage.folder),
        "MAILER_SMTP_URL": stage.capture.url,
        "MAILER_SMTP_CA_FILE": str(stage.capture.ca_file),
    }


def _next_steps(invocation: "Invocation", stage: Stage, campaign_id: str, *, keep: bool) -> None:
    invocation.say(f"\n  Next:  mailer report {campaign_id} --refused         who was refused, and why")
    invocation.say("         mailer init my-campaign                     make your own (4 files, 1 minute)")
    if keep:
        told = "\n".join(f"    export {name}={value}" for name, value in _variables(stage).items())
        invocation.say(f"\n  Everything stays up until Ctrl-C. In another terminal:\n{told}")
