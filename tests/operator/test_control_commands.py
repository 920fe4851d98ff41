"""`mailer pause`, `resume`, `cancel`, `retry`, `resolve`, `status --verify` and `watch` as an operator types them."""

import asyncio
import json
import os
import pty
import signal
import sys

import pytest

from mailer.backends.redis.ledgers import Ledgers
from mailer.vocabulary.campaign import Campaign, PausedBy
from tests.ledger.campaigns import IN_DOUBT, REFUSED, SENT, drafts, running, states
from tests.ledger.hands import hand
from tests.operator.console import Console
from tests.operator.recount import sound, waiting_jobs
from tests.servers import until


async def worked(ledgers: Ledgers) -> Campaign:
    """A finished campaign: one sent, two refused, one in doubt."""
    campaign = await running(ledgers, drafts([1, 2, 3, 4]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        for recipient, outcome in zip(claim.recipients, (SENT, REFUSED, REFUSED, IN_DOUBT), strict=True):
            worker.delivery.record(claim, recipient, outcome)
        await worker.delivery.end_run(claim)
    return campaign


async def test_pause_tells_the_reason_everywhere_and_resume_goes_on(ledgers: Ledgers, console: Console) -> None:
    campaign = await running(ledgers, drafts([1, 2]))
    said = await console.run("pause", campaign.id, "--reason", "wrong \x1b[31mprice")
    assert said.out == f"{campaign.id} is paused: wrong  [31mprice\n"
    assert "wrong  [31mprice" in (await console.run("status", campaign.id)).out
    assert "wrong  [31mprice" in (await console.run("report", campaign.id)).out
    again = await console.run("pause", campaign.id, "--reason", "other", "--json")
    assert (again.document["state"], again.document["paused_reason"]) == ("paused", "other")
    assert (await console.run("resume", campaign.id)).out == f"{campaign.id} goes on\n"
    assert (await console.run("resume", campaign.id[:-1], "--json")).document["state"] == "running"
    assert await waiting_jobs(ledgers, campaign) == {0}


@pytest.mark.thorough
async def test_cancel_is_for_good_and_its_reason_is_in_status_and_report(ledgers: Ledgers, console: Console) -> None:
    campaign = await running(ledgers, drafts([1, 2, 3]))
    document = (await console.run("cancel", campaign.id, "--reason", "wrong price", "--json")).document
    assert (document["state"], document["cancelled_reason"], document["totals"]["cancelled"]) == (
        "cancelled",
        "wrong price",
        3,
    )
    assert (await console.run("cancel", campaign.id)).out == f"{campaign.id} is cancelled: wrong price\n"
    assert "is cancelled: wrong price" in (await console.run("status", campaign.id)).out
    assert "cancelled: wrong price" in (await console.run("report", campaign.id)).out
    report = json.loads((await console.run("report", campaign.id, "--format", "json")).out)
    assert report["campaign"]["cancelled_reason"] == "wrong price"
    assert report["totals"]["cancelled"] == 3
    error = (await console.run("resume", campaign.id, "--json", code=2)).error
    assert error["code"] == "E114"
    assert (await console.run("pause", "nobody-0000", "--json", code=2)).error["code"] == "E109"
    assert (await console.run("report", campaign.id, "--exit-code", code=1)).out


async def test_retry_wants_a_yes_and_queues_the_chosen_again(ledgers: Ledgers, console: Console) -> None:
    campaign = await worked(ledgers)
    assert (await console.run("retry", campaign.id, "--json", code=2)).error["code"] == "E115"
    assert (await console.run("retry", campaign.id, "--state", "sent", "--json", code=2)).error["code"] == "E101"
    assert (await console.run("retry", campaign.id, "--code", "9xx", "--json", code=2)).error["code"] == "E101"
    assert "Nothing was sent" in (await console.answer("n", "retry", campaign.id)).err
    assert await states(ledgers, campaign) == ["sent", "refused", "refused", "in_doubt"]
    said = await console.answer("y", "retry", campaign.id, "--limit", "1")
    assert said.out == f"{campaign.id}: 1 queued again\n"
    document = (await console.run("retry", campaign.id, "--code", "5xx", "--yes", "--json")).document
    assert (document["queued"], document["without_message"], document["state"]) == (1, 0, "running")
    assert await states(ledgers, campaign) == ["sent", "queued", "queued", "in_doubt"]
    await sound(ledgers, campaign)


async def test_above_the_limit_the_number_has_to_be_typed(ledgers: Ledgers, console: Console) -> None:
    campaign = await running(ledgers, drafts(range(1, 53)))
    async with hand(ledgers) as worker:
        await worker.finish(await worker.claim(campaign), REFUSED)
    assert "Type 52" in (await console.answer("y", "retry", campaign.id)).err
    assert (await ledgers.reading.status(campaign.id)).totals.refused == 52
    assert (await console.answer("52", "retry", campaign.id)).out == f"{campaign.id}: 52 queued again\n"


async def test_resolve_settles_a_doubt_or_says_why_not(ledgers: Ledgers, console: Console) -> None:
    campaign = await worked(ledgers)
    for address, code in (("r2@x2.test", "E114"), ("who@x.test", "E119"), ("no address", "E101")):
        error = (await console.run("resolve", campaign.id, address, "--as", "sent", "--json", code=2)).error
        assert error["code"] == code
    said = await console.run("resolve", campaign.id, "r4@X1.test", "--as", "sent")
    assert said.out == f"{campaign.id}: 1 resolved as sent, 0 still in doubt\n"
    document = (await console.run("resolve", campaign.id, "r4@x1.test", "--as", "sent", "--json")).document
    assert (document["resolved"], document["unchanged"]) == (0, 1)
    assert await states(ledgers, campaign) == ["sent", "refused", "refused", "sent"]
    assert "operator: resolved as sent" in (await console.run("report", campaign.id, "--format", "jsonl")).out


@pytest.mark.thorough
async def test_status_verify_ends_with_3_when_the_recount_differs(ledgers: Ledgers, console: Console) -> None:
    campaign = await worked(ledgers)
    assert "everything adds up" in (await console.run("status", campaign.id, "--verify")).out
    base = ledgers.keys.base(campaign.id)
    await ledgers.redis.eval("return redis.call('HINCRBY', ARGV[1] .. 'c', 'sent', 1)", 0, base)
    said = await console.run("status", campaign.id, "--verify", code=3)
    assert "sent: the counter says 2, the chunks hold 1" in said.out
    document = (await console.run("status", campaign.id, "--verify", "--json", code=3)).document
    assert any(violation.startswith("sent: ") for violation in document["violations"])


@pytest.mark.thorough
async def test_watch_writes_plain_lines_until_the_campaign_is_over(ledgers: Ledgers, console: Console) -> None:
    campaign = await running(ledgers, drafts([1, 2]))
    watching = console.start("watch", campaign.id)
    await until(lambda: "\n" in watching.out.read_text())
    first = watching.out.read_text()
    assert first == f"{campaign.id} running 0/2  2 queued\n"
    async with hand(ledgers) as worker:
        await worker.finish(await worker.claim(campaign), SENT)
    said = await console.end(watching)
    assert said.out.splitlines()[-1].startswith(f"{campaign.id} finished 2/2  2 sent")
    assert "\x1b" not in said.out
    document = (await console.run("watch", campaign.id, "--json")).document
    assert document["campaign"]["totals"]["sent"] == 2


@pytest.mark.parametrize(("by", "code"), [(PausedBy.SERVICE, 4), (PausedBy.OPERATOR, 5)])
async def test_watch_ends_with_a_pause_and_its_reason(
    ledgers: Ledgers, console: Console, by: PausedBy, code: int
) -> None:
    campaign = await running(ledgers, drafts([1]))
    await ledgers.campaigns.pause(campaign.id, "E411 login refused", by)
    said = await console.run("watch", campaign.id, code=code)
    assert "E411 login refused" in said.out
    assert f"mailer resume {campaign.id}" in said.err


async def test_ctrl_c_ends_watching_with_130_and_leaves_the_campaign_alone(ledgers: Ledgers, console: Console) -> None:
    campaign = await running(ledgers, drafts([1]))
    watching = console.start("watch", campaign.id)
    await until(lambda: "\n" in watching.out.read_text())
    watching.signal(signal.SIGINT)
    await console.end(watching, 130)
    assert await states(ledgers, campaign) == ["queued"]


@pytest.mark.thorough
async def test_on_a_terminal_the_picture_is_redrawn(ledgers: Ledgers, console: Console) -> None:
    campaign = await running(ledgers, drafts([1, 2]))
    await ledgers.control.cancel(campaign.id, "wrong price")
    terminal, end = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mailer", "watch", campaign.id),
        env=console.environ | {"TERM": "xterm-256color", "COLUMNS": "80"},
        stdin=end,
        stdout=end,
        stderr=asyncio.subprocess.PIPE,
    )
    await asyncio.wait_for(process.communicate(), 20)
    os.close(end)
    seen = b""
    while chunk := await asyncio.to_thread(_read, terminal):
        seen += chunk
    os.close(terminal)
    assert process.returncode == 0
    assert "wrong price" in seen.decode()
    assert b"\x1b[" in seen


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        # Linux says EIO where the other end is closed.
        return b""
