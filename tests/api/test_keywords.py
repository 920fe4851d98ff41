"""The keywords of `send` and `enqueue`: the flags of `mailer send`, with the same meaning."""

from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailer import AsyncMailer, Campaign, Mailer, MailerError, UsageError
from mailer.api.asked import Asked, SendKeywords
from mailer.capture.server import CaptureServer
from mailer.cli.send_flags import SendFlags
from mailer.testing import MemoryMailer
from mailer.vocabulary.campaign import CampaignState
from tests.api.conftest import people

ABOUT_THE_COMMAND = {"template", "recipients", "dry_run", "detach", "wait", "transcript", "yes", "resume"}
"""Flags that are keywords of `Campaign`, or have no meaning in a program."""


def hello(recipients: object, **keywords: object) -> Campaign:
    return Campaign("hello", template="hello", sender="a@acme.example", recipients=recipients, **keywords)  # type: ignore[arg-type]


def addressees(mailer: MemoryMailer) -> list[str]:
    return [str(message["To"]).partition("@")[0] for message in mailer.outbox]


def test_every_flag_of_the_command_is_a_keyword() -> None:
    flags = {field.name for field in fields(SendFlags)} - ABOUT_THE_COMMAND
    keywords = set(SendKeywords.__annotations__)
    assert flags <= keywords
    assert keywords == {field.name for field in fields(Asked)}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"limit": 2}, ["p1", "p2"]),
        ({"offset": 7}, ["p8", "p9"]),
        ({"offset": 3, "limit": 2}, ["p4", "p5"]),
        ({"sample": 3}, ["p1", "p4", "p7"]),
        ({"test_to": "me@example.com"}, ["me", "me", "me"]),
        ({"test_to": "me@example.com", "limit": 1}, ["me"]),
    ],
    ids=str,
)
def test_rows_are_chosen(
    asked: dict[str, object], expected: list[str], desk: Path, memory_mailer: MemoryMailer
) -> None:
    (desk / "people.csv").write_text("email,name\n" + "".join(f"p{n}@example.com,P{n}\n" for n in range(1, 10)))
    hello("people.csv").send(**asked)  # type: ignore[call-overload]
    assert addressees(memory_mailer) == expected


def test_the_rest_follows_without_the_limit(desk: Path, memory_mailer: MemoryMailer) -> None:
    first = hello(people(5), key="k").send(limit=2)
    rest = hello(people(5), key="k").send()
    assert (first.totals.sent, rest.totals.sent, first.campaign.id) == (2, 5, rest.campaign.id)
    assert addressees(memory_mailer) == ["p1", "p2", "p3", "p4", "p5"]


def test_new_and_append_say_what_becomes_of_a_key(desk: Path, memory_mailer: MemoryMailer) -> None:
    first = hello(people(2), key="k").send()
    another = hello(people(2), key="k").send(new=True)
    assert another.campaign.id != first.campaign.id
    more = hello(people(3), key="k", subject="Other").send(append=True)
    assert (more.campaign.id, more.totals.sent) == (first.campaign.id, 3)
    assert addressees(memory_mailer) == ["p1", "p2", "p1", "p2", "p3"]


def test_the_recipients_of_another_campaign_are_left_out_by_the_beginning_of_its_id(
    desk: Path, memory_mailer: MemoryMailer
) -> None:
    first = hello(people(2)).send()
    report = Campaign("more", template="hello", sender="a@acme.example", recipients=people(4)).send(
        exclude_campaign=first.campaign.id[:-1]
    )
    assert (report.totals.sent, report.totals.duplicate) == (2, 2)
    with pytest.raises(UsageError) as caught:
        hello(people(1)).send(exclude_campaign="nothing")
    assert caught.value.code == "E109"


def test_duplicates_and_delimiter(desk: Path, memory_mailer: MemoryMailer) -> None:
    assert hello([*people(1), *people(1)]).send(duplicates="keep").totals.sent == 2
    (desk / "people.csv").write_text("email,name,x;email\na@example.com,A,x\n")
    with pytest.raises(MailerError) as caught:
        hello("people.csv").send()
    assert caught.value.code == "E202"
    assert hello("people.csv").send(delimiter=",").totals.sent == 1
    (desk / "people.txt").write_text("email,name\na@example.com,A\n")
    assert hello("people.txt").send(recipients_format="csv").totals.sent == 1


def test_rate_and_priority_are_stored_with_the_campaign(desk: Path, memory_mailer: MemoryMailer) -> None:
    handle = hello(people(1)).send(wait=False, rate=["10/s", "300/min"], priority=7)
    delivery = handle.status().campaign.delivery
    assert ([str(rate) for rate in delivery.rate], delivery.priority) == (["10/s", "300/m"], 7)
    other = Mailer.from_env().enqueue(hello(people(1)), rate="20/s").status().campaign.delivery
    assert [str(rate) for rate in other.rate] == ["20/s"]
    with pytest.raises(UsageError) as caught:
        hello(people(1)).send(rate="fast")
    assert caught.value.code == "E101"


@pytest.mark.parametrize("as_text", [True, False])
def test_a_campaign_with_a_time_to_begin_is_stored_and_nobody_waits(
    as_text: bool, desk: Path, smtp_capture: CaptureServer
) -> None:
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    report = hello(people(2)).send(at=at.isoformat() if as_text else at)
    assert (report.campaign.state, report.totals.queued) == (CampaignState.SCHEDULED, 2)
    assert Mailer.from_env().campaign().status().at_ms == at.timestamp() * 1000
    assert smtp_capture.mailbox.accepted == 0


@pytest.mark.thorough
def test_whoever_waits_for_its_time_works_then(desk: Path, smtp_capture: CaptureServer) -> None:
    with Mailer.from_env() as mailer:
        handle = mailer.enqueue(hello(people(2)), at=datetime.now(UTC) + timedelta(seconds=1))
        assert handle.status().state is CampaignState.SCHEDULED
        assert handle.wait(timeout=30).totals.sent == 2


def test_a_time_without_an_offset_is_local() -> None:
    local = datetime(2999, 1, 1, 12)
    assert Asked(at=local).options.at_ms == Asked(at="2999-01-01T12:00").options.at_ms == local.timestamp() * 1000


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"new": True, "append": True}, "exclude each other"),
        ({"sample": 2, "limit": 2}, "exclude each other"),
        ({"limit": 0}, "limit 0: at least 1"),
        ({"offset": -1}, "at least 0"),
        ({"at": "tomorrow"}, "is not a time"),
        ({"at": "2001-01-01"}, "is in the past"),
        ({"test_to": "nobody"}, "is no address"),
        ({"duplicates": "last"}, "duplicates"),
    ],
    ids=str,
)
def test_what_means_nothing_is_refused(
    asked: dict[str, object], told: str, desk: Path, memory_mailer: MemoryMailer
) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        hello(people(1)).send(**asked)  # type: ignore[call-overload]
    assert caught.value.code == "E101"
    assert len(memory_mailer.outbox) == 0


def test_a_keyword_that_does_not_exist_is_a_type_error(desk: Path, memory_mailer: MemoryMailer) -> None:
    with pytest.raises(TypeError, match="nonsense"):
        hello(people(1)).send(nonsense=True)  # type: ignore[call-overload]


def many(count: int) -> Iterator[dict[str, object]]:
    yield from people(count)


def low_tide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue that holds hardly anything."""
    monkeypatch.setenv("MAILER_QUEUE__HIGH_WATER", "20000")
    monkeypatch.setenv("MAILER_QUEUE__LOW_WATER", "10000")


@pytest.mark.thorough
def test_a_stream_longer_than_the_queue_may_hold_is_worked_off_meanwhile(
    desk: Path, smtp_capture: CaptureServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    low_tide(monkeypatch)
    with pytest.raises(MailerError) as caught:
        hello(many(600)).send()
    assert (caught.value.code, "stream=True" in (caught.value.hint or "")) == ("E208", True)
    assert smtp_capture.mailbox.accepted == 0
    assert hello(many(600)).send(stream=True).totals.sent == 600


@pytest.mark.thorough
async def test_the_same_in_an_asynchronous_program(
    desk: Path, smtp_capture: CaptureServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    low_tide(monkeypatch)
    async with AsyncMailer.from_env() as mailer:
        report = await mailer.send(hello(many(600)), stream=True)
    assert report.totals.sent == 600


def test_every_new_setting_is_a_keyword_of_the_campaign(desk: Path, memory_mailer: MemoryMailer) -> None:
    (desk / "files").mkdir()
    (desk / "files" / "P1.txt").write_text("for P1")
    report = hello(
        people(1), cc="boss@example.com", bcc="audit@example.com", attachments=["files/{{ name }}.txt"], inline_css=True
    ).send()
    assert report.totals.sent == 3
    (message,) = memory_mailer.outbox
    assert [part.get_filename() for part in message.iter_attachments()] == ["P1.txt"]
    with pytest.raises(UsageError, match="has to be a list"):
        hello(people(1), attachments="files/P1.txt")


def test_a_workbook_and_a_python_file_are_lists(desk: Path, memory_mailer: MemoryMailer) -> None:
    from tests.backends.workbooks import write_xlsx

    write_xlsx(desk / "people.xlsx", {"One": [["email"]], "Two": [["email", "name"], ["x@example.com", "X"]]})
    assert hello("people.xlsx#Two").send().totals.sent == 1
    (desk / "campaign.py").write_text("def rows():\n    yield {'email': 'y@example.com', 'name': 'Y'}\n")
    assert hello("campaign.py:rows").send().totals.sent == 1
    assert addressees(memory_mailer) == ["x", "y"]


def test_a_toml_file_takes_the_same_keywords(desk: Path, memory_mailer: MemoryMailer) -> None:
    (desk / "mailer.toml").write_text(
        '[campaign]\nname = "autumn"\ntemplate = "hello"\nsender = "a@acme.example"\nrecipients = "people.csv"\n'
        'duplicates = "first"\n[delivery]\nrate = "1/s"\n'
    )
    (desk / "people.csv").write_text("email,name\na@example.com,A\na@example.com,A\nb@example.com,B\n")
    handle = Campaign.from_toml("mailer.toml").send(wait=False, duplicates="keep", limit=2, key="k", rate="2/s")
    status = handle.status()
    assert (status.campaign.key, status.totals.accepted) == ("k", 2)
    assert [str(rate) for rate in status.campaign.delivery.rate] == ["2/s"]
