"""The mailer in memory: the same calls, errors and reports as the real one, without any server."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailer import AsyncMailer, Campaign, Mailer, MailerError, NotSentError, UsageError
from mailer.testing import AsyncMemoryMailer, MemoryMailer
from mailer.vocabulary.campaign import CampaignState
from tests.api.conftest import people

if TYPE_CHECKING:
    from collections.abc import Callable


def hello(recipients: object, **keywords: object) -> Campaign:
    return Campaign("hello", template="hello", sender="a@acme.example", recipients=recipients, **keywords)  # type: ignore[arg-type]


def test_what_a_program_sends_is_taken_without_any_change_to_it(desk: Path, memory_mailer: MemoryMailer) -> None:
    report = hello(people(250)).send()
    assert (report.totals.sent, report.totals.rows, report.totals.add_up) == (250, 250, True)
    assert len(memory_mailer.outbox) == 250
    assert str(memory_mailer.outbox[0]["Subject"]) == "Hello P1"
    body = memory_mailer.outbox[-1].get_body()
    assert body is not None
    assert "Dear P250" in body.get_content()
    assert [str(message["To"]) for message in memory_mailer.outbox[:2]] == ["p1@example.com", "p2@example.com"]
    report.raise_for_status()


def test_addresses_end_as_the_test_says(desk: Path, memory_mailer: MemoryMailer) -> None:
    memory_mailer.refuse("P1@Example.com".lower(), 552, "5.2.2 mailbox full")
    memory_mailer.refuse("p2@example.com", 554, "5.6.0 no", after="dot")
    memory_mailer.defer("p3@example.com")
    memory_mailer.defer("p4@example.com", 450, "4.2.1 later", for_ever=True)
    memory_mailer.drop("p5@example.com")
    memory_mailer.suppress("p6@example.com")
    report = hello(people(7)).send()
    states = {record.email[:2]: record.state for record in report.recipients()}
    assert states == {
        "p1": "refused",
        "p2": "refused",
        "p3": "sent",
        "p4": "failed",
        "p5": "in_doubt",
        "p6": "suppressed",
        "p7": "sent",
    }
    assert report.refused == {"p1@example.com": (552, "5.2.2 mailbox full"), "p2@example.com": (554, "5.6.0 no")}
    assert {record.email: record.reason for record in report.recipients("failed")} == {"p4@example.com": "expired"}
    assert report.totals.add_up
    assert "refused" in str(report)
    with pytest.raises(NotSentError, match="4 of 7"):
        report.raise_for_status()


def test_the_addresses_of_the_capture_server_do_the_same(desk: Path, memory_mailer: MemoryMailer) -> None:
    names = ["bounce+550", "full+552", "reject+554", "defer+451", "greylist", "slow+5s", "drop"]
    report = hello([{"email": f"{name}@example.com", "name": "X"} for name in names]).send()
    ends = [record.state.value for record in report.recipients()]
    assert ends == ["refused", "refused", "refused", "failed", "sent", "sent", "in_doubt"]


def test_a_row_that_cannot_be_built_is_the_same_error(desk: Path, memory_mailer: MemoryMailer) -> None:
    rows = [*people(2), {"email": "x@example.com"}, {"email": "nobody", "name": "N"}, *people(1)]
    with pytest.raises(MailerError) as caught:
        hello(rows).send()
    assert (caught.value.code, "row 3" in caught.value.message) == ("E301", True)
    with pytest.raises(UsageError, match="no campaign"):
        memory_mailer.campaign()
    report = hello(rows).send(skip_bad=True)
    totals = report.totals
    assert (totals.sent, totals.failed, totals.invalid, totals.duplicate, totals.rows) == (2, 1, 1, 1, 5)


def test_twice_is_once(desk: Path, memory_mailer: MemoryMailer) -> None:
    first, again = hello(people(3), key="k").send(), hello(people(3), key="k").send()
    assert first.campaign.id == again.campaign.id
    assert len(memory_mailer.outbox) == 3
    with pytest.raises(UsageError) as caught:
        hello(people(3), key="k", subject="Another").send()
    assert caught.value.code == "E205"
    assert hello(people(5), key="k", subject="Another").send(append=True).totals.sent == 5


def test_a_handle_pauses_resumes_retries_and_cancels(desk: Path, memory_mailer: MemoryMailer) -> None:
    memory_mailer.refuse("p1@example.com", 552, "5.2.2 full")
    handle = hello(people(3)).send(wait=False)
    assert (handle.status().totals.queued, len(memory_mailer.outbox)) == (3, 0)
    assert handle.pause("a typo")
    assert (handle.wait().state, handle.status().paused_reason) == (CampaignState.PAUSED, "a typo")
    assert handle.resume()
    assert [event.state for event in handle.events()] == ["refused", "sent", "sent"]
    memory_mailer.defer("p1@example.com")
    assert handle.retry(code="552").recipients == 1
    assert (handle.wait(timeout=5).totals.sent, handle.report().campaign.state) == (3, "finished")
    assert [event.state for event in handle.events() if event.row == 1] == ["refused", "queued", "deferred", "sent"]
    other = memory_mailer.enqueue(hello(people(2)))
    assert other.cancel("wrong list") == 2
    assert other.report().campaign.cancelled_reason == "wrong list"
    with pytest.raises(UsageError, match="cannot be paused"):
        other.pause("too late")


def test_nothing_waits(desk: Path, memory_mailer: MemoryMailer) -> None:
    report = hello(people(3)).send(rate="1/h", priority=5)
    assert report.totals.sent == 3
    handle = hello(people(2)).send(wait=False, at="2999-01-01T00:00")
    assert (handle.status().state, len(memory_mailer.outbox)) == (CampaignState.SCHEDULED, 3)
    assert handle.wait().totals.sent == 2


def test_copies_and_attachments_are_real(desk: Path, memory_mailer: MemoryMailer) -> None:
    (desk / "1.pdf").write_bytes(b"%PDF-1.4 one")
    rows = [{"email": "ann@example.com", "name": "Ann", "number": 1}]
    report = hello(rows, cc="boss@example.com", bcc="audit@example.com", attachments=["{{ number }}.pdf"]).send()
    assert report.totals.sent == 3
    (message,) = memory_mailer.outbox
    (attached,) = message.iter_attachments()
    assert attached.get_content() == b"%PDF-1.4 one"
    assert (str(message["Cc"]), message["Bcc"]) == ("boss@example.com", None)
    (taken,) = memory_mailer.post.relay.taken
    assert taken.envelope.recipients == ("ann@example.com", "boss@example.com", "audit@example.com")


@pytest.mark.thorough
def test_a_list_longer_than_the_queue_may_be_is_streamed(
    desk: Path, memory_mailer: MemoryMailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILER_QUEUE__HIGH_WATER", "20000")
    monkeypatch.setenv("MAILER_QUEUE__LOW_WATER", "10000")
    with pytest.raises(MailerError) as caught:
        hello(iter(people(500))).send()
    assert (caught.value.code, "stream" in (caught.value.hint or "")) == ("E208", True)
    assert hello(iter(people(500))).send(stream=True).totals.sent == 500


def test_several_mailers_share_a_post_office_and_no_server_is_touched(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILER_REDIS_URL", "redis://localhost:9/0")
    monkeypatch.setenv("MAILER_SMTP_URL", "smtp+starttls://localhost:9")
    first = MemoryMailer()
    second = MemoryMailer(post=first.post)
    assert first.send(hello(people(2))).totals.sent == 2
    assert second.campaign().report().totals.sent == 2
    assert len(second.outbox) == 2
    assert isinstance(MemoryMailer.from_env(), Mailer)


async def test_the_asynchronous_twin_does_the_same(desk: Path) -> None:
    async with AsyncMemoryMailer() as mailer:
        mailer.refuse("p2@example.com")
        handle = await mailer.enqueue(hello(people(3)))
        assert [event.state async for event in handle.events()] == ["sent", "refused", "sent"]
        report = await mailer.send(hello(people(1)))
        assert [record.email async for record in report.recipients()] == ["p1@example.com"]
    assert len(mailer.outbox) == 3


async def test_an_asynchronous_program_needs_no_change(desk: Path, memory_mailer: MemoryMailer) -> None:
    async with AsyncMailer.from_env() as mailer:
        await mailer.send(hello(people(2)))
    assert len(memory_mailer.outbox) == 2


def test_the_fixture_is_gone_after_its_test(desk: Path) -> None:
    from mailer.api import opening
    from mailer.api.queue_desk import QueueDesk

    assert isinstance(opening.desk_of(None, None, {}), QueueDesk)


def test_loading_the_fixtures_loads_neither_the_api_nor_a_server() -> None:
    import subprocess

    script = """
import sys, mailer.testing
print(sorted(name for name in sys.modules if name.startswith("mailer.") and name.split(".")[1] != "testing"))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.thorough
def test_the_mailers_need_no_pytest(desk: Path) -> None:
    """A program tries itself out with `MemoryMailer` where nothing for tests is installed."""
    import subprocess

    script = """
import sys
for name in ("pytest", "_pytest", "pluggy", "aiosmtpd", "valkey_server"):
    sys.modules[name] = None
from mailer import Campaign
from mailer.testing import AsyncMemoryMailer, MemoryMailer, Outbox
people = [{"email": "ann@example.com", "name": "Ann"}]
mailer = MemoryMailer()
mailer.send(Campaign("hello", template="hello", sender="a@acme.example", recipients=people))
assert isinstance(mailer.outbox, Outbox)
print(mailer.outbox[0]["Subject"])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("Hello Ann\n", "")


def test_every_name_is_there_however_often_and_in_whatever_order_it_is_asked_for() -> None:
    import mailer.testing as testing

    for _ in range(2):
        for name in (*testing.__all__, *reversed(testing.__all__)):
            found = getattr(testing, name)
            assert callable(found) or type(found).__name__ == "FixtureFunctionDefinition", name
    with pytest.raises(AttributeError, match="nothing_such"):
        testing.nothing_such  # noqa: B018 (looking it up is the test)


@pytest.mark.parametrize("is_in_memory", [True, False])
async def test_outside_async_with_nothing_is_done_in_memory_as_at_a_queue(desk: Path, is_in_memory: bool) -> None:
    async def shut(mailer: AsyncMailer) -> None:
        with pytest.raises(UsageError) as caught:
            await mailer.enqueue(hello(people(1)))
        assert caught.value.code == "E132"
        with pytest.raises(UsageError) as caught:
            await mailer.send(hello(people(1)))
        assert caught.value.code == "E132"
        with pytest.raises(UsageError) as caught:
            await mailer.campaign()
        assert caught.value.code == "E132"

    if not is_in_memory:
        await shut(AsyncMailer.from_env())
        return
    mailer = AsyncMemoryMailer()
    await shut(mailer)
    async with mailer:
        handle = await mailer.enqueue(hello(people(1)))
    for look in (handle.status, handle.wait, handle.report, handle.resume):
        with pytest.raises(UsageError) as caught:
            await look()
        assert caught.value.code == "E132"
    await shut(mailer)
    assert len(mailer.outbox) == 0


def test_a_slip_in_a_plan_is_an_error_and_not_another_end() -> None:
    mailer = MemoryMailer()
    slips: list[Callable[[], None]] = [
        lambda: mailer.refuse("p1@example.com", 421),
        lambda: mailer.refuse("p1@example.com", 250),
        lambda: mailer.refuse("p1@example.com", after="data"),  # type: ignore[arg-type]  # the slip
        lambda: mailer.refuse("p1@example.com", after="RCPT"),  # type: ignore[arg-type]  # the slip
        lambda: mailer.defer("p1@example.com", 550),
        lambda: mailer.defer("p1@example.com", 4511),
    ]
    for slip in slips:
        with pytest.raises(UsageError) as caught:
            slip()
        assert caught.value.code == "E101"
        assert caught.value.hint is not None
    assert mailer.post.relay.behaviour("p1@example.com").to_recipient is None
