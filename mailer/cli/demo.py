"""`mailer demo`: everything there is, on this computer alone, ending in a report with every outcome."""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailer.backends.attachment_files import AttachmentFolder
from mailer.backends.sources.opening import open_source
from mailer.cli.opening import read_setting
from mailer.cli.stage import CONNECTIONS, INTERRUPTED, Stage, only_one, raised_stage
from mailer.cli.waiting import Rate, note_of, progress
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

if TYPE_CHECKING:
    from mailer.cli.invocation import Invocation
    from mailer.vocabulary.campaign import CampaignStatus
    from mailer.vocabulary.report import Report

FAR_S = 30.0
"""A retry that is due later than this is not waited for."""
NOT_AS_PLANNED = 3


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
    with only_one(setting):
        async with raised_stage(invocation, setting, web=web) as stage:
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
