"""An asynchronous program: enqueue, listen, report."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mailer import AsyncMailer, Campaign, StoppedWaitingError, UsageError
from mailer.capture.server import CaptureServer
from mailer.vocabulary.campaign import CampaignState
from tests.api.conftest import people
from tests.cli.running import Warm

SENDER = "Acme <news@acme.example>"


def hello(recipients: object, key: str | None = None) -> Campaign:
    return Campaign("hello", template="hello", sender=SENDER, recipients=recipients, key=key)  # type: ignore[arg-type]


@pytest.mark.thorough
async def test_events_tell_everything_and_end_with_the_campaign(desk: Path, smtp_capture: CaptureServer) -> None:
    rows = [
        *people(120),
        {"email": "bounce+550@example.com", "name": "X"},
        {"email": "greylist@example.com", "name": "G"},
    ]
    async with AsyncMailer.from_env(settings={"delivery.retry_delays": ["1s"]}) as mailer:
        handle = await mailer.enqueue(hello(rows))
        events = [event async for event in handle.events()]
        late = [event async for event in handle.events()]
        report = await handle.report()
    assert Counter(event.state for event in events) == {"sent": 121, "refused": 1, "deferred": 1}
    refused = next(event for event in events if event.state == "refused")
    assert (refused.email, refused.row, refused.code) == ("bounce+550@example.com", 121, 550)
    assert (refused.enhanced_code, refused.campaign_id) == ("5.1.1", handle.id)
    assert [event.state for event in events if event.email == "greylist@example.com"] == ["deferred", "sent"]
    # Whoever comes late reads the same from the ledger.
    assert sorted(map(repr, late)) == sorted(map(repr, events))
    assert (report.totals.sent, report.totals.refused) == (121, 1)


@pytest.mark.thorough
async def test_enqueuing_needs_no_mail_server(
    desk: Path, smtp_capture: CaptureServer, warm: Warm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAILER_SMTP_URL")
    monkeypatch.delenv("MAILER_SMTP_CA_FILE")
    async with AsyncMailer.from_env() as mailer:
        handle = await mailer.enqueue(hello(people(3)))
        assert (await handle.status()).campaign.smtp.url is None
        with pytest.raises(UsageError, match="without a mail server") as caught:
            await handle.wait()
        assert caught.value.code == "E105"
        assert str(await handle.report())
        # A worker that has one of its own sends it.
        monkeypatch.setenv("MAILER_SMTP_URL", smtp_capture.url)
        monkeypatch.setenv("MAILER_SMTP_CA_FILE", str(smtp_capture.ca_file))
        code, _, words = await asyncio.to_thread(warm.run, ["worker", "--burst"], desk, dict(os.environ))
        assert code == 0, words
        assert (await handle.status()).totals.sent == 3
        await mailer.enqueue(hello(people(2), key="again"))
    # So does a program that waits.
    async with AsyncMailer.from_env() as mailer:
        status = await (await mailer.campaign()).wait(timeout=30)
    assert (status.state, status.totals.sent) == (CampaignState.FINISHED, 2)


@pytest.mark.thorough
async def test_waiting_ends_when_the_time_is_up_and_nothing_is_lost(desk: Path, smtp_capture: CaptureServer) -> None:
    async with AsyncMailer.from_env() as mailer:
        handle = await mailer.enqueue(hello([{"email": "defer+451@example.com", "name": "D"}]))
        with pytest.raises(TimeoutError) as caught:
            await handle.wait(0.5)
        assert isinstance(caught.value, StoppedWaitingError)
        assert (caught.value.code, caught.value.exit_code, caught.value.retryable) == ("E511", 5, True)
        assert (await handle.status()).totals.open == 1


@pytest.mark.thorough
async def test_pause_and_resume_carry_the_reason(desk: Path, smtp_capture: CaptureServer) -> None:
    async with AsyncMailer.from_env() as mailer:
        handle = await mailer.enqueue(hello(people(2)))
        assert await handle.pause("a typo in the subject")
        assert not await handle.pause("two typos")
        status = await handle.wait()
        assert (status.state, status.paused_reason) == (CampaignState.PAUSED, "two typos")
        assert await handle.resume()
        assert (await handle.wait()).totals.sent == 2


async def test_cancelling_ends_it_for_whoever_waits(desk: Path, smtp_capture: CaptureServer) -> None:
    async with AsyncMailer.from_env() as mailer:
        handle = await mailer.enqueue(hello(people(3)))
        assert await handle.cancel("wrong list") == 3
        assert (await handle.wait()).totals.cancelled == 3
        assert [event.state async for event in handle.events()] == ["cancelled"] * 3
        with pytest.raises(UsageError, match="cannot be paused"):
            await handle.pause("too late")
    assert smtp_capture.mailbox.accepted == 0


@pytest.mark.thorough
async def test_retrying_tells_its_events_after_those_of_the_first_time(desk: Path, smtp_capture: CaptureServer) -> None:
    rows = [
        *people(2),
        {"email": "full+552@example.com", "name": "F"},
        {"email": "reject+554@example.com", "name": "R"},
    ]
    async with AsyncMailer.from_env() as mailer:
        handle = await mailer.enqueue(hello(rows))
        await handle.wait()
        assert (await handle.retry(code=["4xx", "552"])).recipients == 1
        assert (await handle.wait()).totals.refused == 2
        events = [event.state async for event in handle.events() if event.email == "full+552@example.com"]
        assert events == ["refused", "queued", "refused"]
        with pytest.raises(UsageError, match="nonsense"):
            await handle.retry(state="nonsense")


async def test_send_is_enqueue_wait_and_report(desk: Path, smtp_capture: CaptureServer) -> None:
    async with AsyncMailer.from_env() as mailer:
        report = await mailer.send(hello(people(4)))
        assert [record.email async for record in report.recipients(state="sent")] == [row["email"] for row in people(4)]
        paths = await report.save(desk / "out")
        assert [path.name for path in paths] == ["report.html", "report.csv", "report.json"]


async def test_a_mailer_that_is_not_open_says_so(desk: Path, smtp_capture: CaptureServer) -> None:
    mailer = AsyncMailer.from_env()
    with pytest.raises(UsageError, match="not open"):
        await mailer.enqueue(hello(people(1)))
    async with mailer:
        handle = await mailer.enqueue(hello(people(1)))
    with pytest.raises(UsageError, match="not open"):
        await handle.status()


async def test_another_queue_in_a_campaigns_file_is_not_ignored(desk: Path, smtp_capture: CaptureServer) -> None:
    (desk / "other.toml").write_text(
        '[campaign]\ntemplate = "hello"\nsender = "a@acme.example"\n[queue]\nprefix = "other"\n'
    )
    campaign = Campaign.from_toml("other.toml", recipients=people(1))
    async with AsyncMailer.from_env() as mailer:
        with pytest.raises(UsageError, match="another queue"):
            await mailer.enqueue(campaign)


async def test_the_event_loop_turns_while_a_campaign_is_accepted(desk: Path, smtp_capture: CaptureServer) -> None:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    (desk / "people.csv").write_text("email,name\n" + "".join(f"p{n}@example.com,P{n}\n" for n in range(500)))
    turning = asyncio.create_task(turn())
    async with AsyncMailer.from_env() as mailer:
        turns = 0
        await mailer.enqueue(hello("people.csv"))
    turning.cancel()
    assert turns > 25


async def endless(closed: list[bool]) -> AsyncIterator[dict[str, object]]:
    try:
        number = 0
        while True:
            await asyncio.sleep(0)
            number += 1
            yield {"email": f"p{number}@example.com", "name": "P"}
    finally:
        closed.append(True)


@pytest.mark.thorough
async def test_enqueuing_can_be_cancelled_and_leaves_nothing(desk: Path, smtp_capture: CaptureServer) -> None:
    closed: list[bool] = []
    async with AsyncMailer.from_env() as mailer:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await mailer.enqueue(hello(endless(closed), key="endless"))
        assert closed == [True]
        with pytest.raises(UsageError, match="no campaign"):
            await mailer.campaign()


async def waiting_for_ever(closed: list[bool]) -> AsyncIterator[dict[str, object]]:
    try:
        yield {"email": "p@example.com", "name": "P"}
        await asyncio.Event().wait()
    finally:
        closed.append(True)


@pytest.mark.thorough
async def test_a_source_that_never_answers_can_be_left(desk: Path, smtp_capture: CaptureServer) -> None:
    closed: list[bool] = []
    async with AsyncMailer.from_env() as mailer:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await mailer.enqueue(hello(waiting_for_ever(closed)))
    assert closed == [True]


async def test_what_an_async_iterable_raises_comes_out(desk: Path, smtp_capture: CaptureServer) -> None:
    async def rows() -> AsyncIterator[dict[str, object]]:
        yield people(1)[0]
        raise ConnectionError("my own database")

    async with AsyncMailer.from_env() as mailer:
        with pytest.raises(ConnectionError, match="my own database"):
            await mailer.enqueue(hello(rows()))


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def many(count: int, seen: list[int]) -> Iterator[dict[str, object]]:
    for number in range(count):
        if number % 100 == 99:
            seen.append(resident_bytes())
        yield {"email": f"p{number}@example.com", "name": "P", "notes": "x" * 25_000}


@pytest.mark.thorough
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the process's memory is read from /proc")
async def test_a_hundred_megabytes_of_rows_stay_in_bounded_memory(desk: Path, smtp_capture: CaptureServer) -> None:
    seen: list[int] = []
    async with AsyncMailer.from_env() as mailer:
        handle = await mailer.enqueue(hello(many(4_000, seen)))
        assert (await handle.status()).totals.queued == 4_000
    # The rows are 100 MB. The first hundreds fill caches.
    grown = max(seen[2:]) - seen[2]
    assert grown < 16_000_000, f"{grown / 1e6:.1f} MB"
