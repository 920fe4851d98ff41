"""A plain script: one call, one report."""

import asyncio
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType

import pytest

from mailer import Campaign, Mailer, MailerError, NotSentError, RelayError, SourceError, State, UsageError, sources
from mailer.capture.server import CaptureServer
from mailer.testing import Outbox
from tests.api.conftest import people
from tests.cli.running import ROOT, Running, Warm
from tests.thorough import first

SENDER = "Acme <news@acme.example>"
Make = Callable[[], object]


def hello(recipients: object, **more: object) -> Campaign:
    return Campaign("hello", template="hello", sender=SENDER, recipients=recipients, **more)  # type: ignore[arg-type]


def test_one_call_sends_everything_and_returns_the_report(desk: Path, outbox: Outbox) -> None:
    (desk / "people.csv").write_text("email,name\nann@example.com,Ann\nbob@example.com,Bob\nnobody,No\n")
    report = hello("people.csv").send()
    assert (report.totals.sent, report.totals.invalid, report.totals.rows) == (2, 1, 3)
    assert {message["To"] for message in outbox} == {"ann@example.com", "bob@example.com"}
    assert {message["Subject"] for message in outbox[:]} == {"Hello Ann", "Hello Bob"}
    assert "2 accepted + 1 invalid" in str(report)
    report.raise_for_status()


def test_refusals_have_the_shape_of_smtplib(desk: Path, smtp_capture: CaptureServer) -> None:
    report = hello([*people(2), {"email": "bounce+550@example.com", "name": "X"}]).send()
    ((address, (code, text)),) = report.refused.items()
    assert (address, code) == ("bounce+550@example.com", 550)
    assert text.startswith("5.1.1")
    assert [record.email for record in report.recipients(state="refused")] == [address]
    assert [record.row for record in report.recipients(state=[State.SENT])] == [1, 2]
    assert len(list(report.recipients())) == 3
    assert report.reasons[0].code == 550
    assert report.domains[0].accepted == 3
    with pytest.raises(NotSentError, match="1 of 3 recipients") as caught:
        report.raise_for_status()
    assert (caught.value.code, caught.value.exit_code) == ("E212", 1)


def test_a_state_that_does_not_exist_is_told_with_those_that_do(desk: Path, smtp_capture: CaptureServer) -> None:
    report = hello(people(1)).send()
    with pytest.raises(UsageError, match="lost") as caught:
        report.recipients(state="lost")
    assert "sent" in (caught.value.hint or "")


@pytest.mark.thorough
def test_an_iterable_with_a_key_is_sent_once_however_often_it_runs(desk: Path, smtp_capture: CaptureServer) -> None:
    first = hello(iter(people(5)), key="autumn").send()
    again = hello(iter(people(5)), key="autumn").send()
    assert first.campaign.id == again.campaign.id
    assert again.totals == first.totals
    assert smtp_capture.mailbox.accepted == 5


@pytest.mark.thorough
def test_a_key_given_to_send_wins(desk: Path, smtp_capture: CaptureServer) -> None:
    first = hello(people(2), key="one").send(key="other")
    assert first.campaign.key == "other"


def one_dict_filled_again() -> Iterator[dict[str, object]]:
    row: dict[str, object] = {}
    for number in range(1, 4):
        row.update(email=f"p{number}@example.com", name=f"P{number}")
        yield row


def rows_of_sqlite() -> Iterator[sqlite3.Row]:
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    yield from connection.execute(
        "select 'p' || value || '@example.com' as email, 'P' || value as name from"
        " (select 1 as value union select 2 union select 3)"
    )


async def asynchronous() -> object:
    for row in people(3):
        await asyncio.sleep(0)
        yield row


@pytest.mark.parametrize(
    "make",
    first(
        2,
        [
            lambda: people(3),
            lambda: (row for row in people(3)),
            lambda: [MappingProxyType(row) for row in people(3)],
            one_dict_filled_again,
            rows_of_sqlite,
            asynchronous,
        ],
    ),
    ids=["list", "generator", "mappings", "one dict again and again", "sqlite rows", "async generator"],
)
def test_any_iterable_of_mappings_is_a_source(desk: Path, outbox: Outbox, make: Make) -> None:
    assert hello(make()).send().totals.sent == 3
    assert sorted(str(message["To"]) for message in outbox) == [f"p{number}@example.com" for number in (1, 2, 3)]


@pytest.mark.thorough
def test_an_item_that_is_no_mapping_is_left_out_as_invalid(desk: Path, smtp_capture: CaptureServer) -> None:
    report = hello([*people(1), ("x@example.com", "X")]).send()
    assert (report.totals.sent, report.totals.invalid) == (1, 1)


@pytest.mark.thorough
def test_a_database_is_read_in_batches_in_the_thread_it_belongs_to(desk: Path, smtp_capture: CaptureServer) -> None:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("create table people (email text, name text)")
        connection.executemany("insert into people values (:email, :name)", people(250))
        rows = sources.query(connection, "select * from people where name <> ?", ["P7"], batch=20)
        assert hello(rows).send().totals.sent == 249
    connection.close()


def test_a_statement_without_rows_or_with_equal_columns_is_refused() -> None:
    with sqlite3.connect(":memory:") as connection:
        with pytest.raises(SourceError, match="no rows"):
            next(sources.query(connection, "create table t (a)"))
        with pytest.raises(SourceError, match="two columns 'a'"):
            next(sources.query(connection, "select 1 as a, 2 as a"))
    connection.close()


def broken() -> Iterator[dict[str, object]]:
    yield from people(150)
    raise ZeroDivisionError("the database went away")


def test_what_an_iterable_raises_comes_out_as_it_is_and_nothing_is_accepted(
    desk: Path, smtp_capture: CaptureServer
) -> None:
    with pytest.raises(ZeroDivisionError, match="went away"):
        hello(broken(), key="k").send()
    with Mailer.from_env() as mailer, pytest.raises(UsageError, match="no campaign"):
        mailer.campaign()
    assert smtp_capture.mailbox.accepted == 0


@pytest.mark.thorough
def test_a_row_that_cannot_be_built_stops_everything_unless_bad_rows_are_skipped(
    desk: Path, smtp_capture: CaptureServer
) -> None:
    rows = [*people(2), {"email": "x@example.com"}]
    with pytest.raises(MailerError) as caught:
        hello(rows).send()
    assert (caught.value.code, caught.value.retryable) == ("E301", False)
    assert "row 3" in caught.value.message
    assert smtp_capture.mailbox.accepted == 0
    report = hello(rows).send(skip_bad=True)
    assert (report.totals.sent, report.totals.failed) == (2, 1)


def test_a_relay_that_is_away_is_told_before_anything_is_accepted(
    desk: Path, smtp_capture: CaptureServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILER_SMTP_URL", "smtp+starttls://localhost:9")
    with pytest.raises(RelayError) as caught:
        hello(people(1)).send()
    assert caught.value.code == "E431"
    with Mailer.from_env() as mailer, pytest.raises(UsageError, match="no campaign"):
        mailer.campaign()


def test_sending_without_any_mail_server_says_so(
    desk: Path, smtp_capture: CaptureServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAILER_SMTP_URL")
    with pytest.raises(UsageError, match="no mail server") as caught:
        hello(people(1)).send()
    assert caught.value.code == "E105"


@pytest.mark.thorough
def test_a_toml_file_is_a_campaign_and_its_list_can_be_replaced(desk: Path, smtp_capture: CaptureServer) -> None:
    folder = desk / "autumn"
    folder.mkdir()
    (desk / "templates").rename(folder / "templates")
    (folder / "mailer.toml").write_text(
        '[campaign]\nname = "autumn"\ntemplate = "hello"\nsender = "a@acme.example"\nrecipients = "people.csv"\n'
    )
    (folder / "people.csv").write_text("email,name\nann@example.com,Ann\n")
    assert Campaign.from_toml("autumn/mailer.toml").send().totals.sent == 1
    assert Campaign.from_toml(folder, recipients=people(3)).send().totals.sent == 3
    with pytest.raises(UsageError, match="no file"):
        Campaign.from_toml("nowhere.toml")


def test_a_wrong_keyword_value_is_named(desk: Path) -> None:
    with pytest.raises(UsageError) as caught:
        hello(people(1), subject=5)
    assert caught.value.where == "Campaign(subject=…)"
    with pytest.raises(UsageError, match="recipients cannot be int"):
        hello(7)


def test_every_campaign_setting_is_a_keyword() -> None:
    import inspect
    from dataclasses import fields

    from mailer.vocabulary.settings import CampaignSettings

    assert {field.name for field in fields(CampaignSettings)} <= set(inspect.signature(Campaign).parameters)


async def test_a_plain_call_inside_an_event_loop_names_its_twin(desk: Path, smtp_capture: CaptureServer) -> None:
    with pytest.raises(UsageError, match="event loop") as caught:
        hello(people(1)).send()
    assert "AsyncMailer" in (caught.value.hint or "")
    with pytest.raises(UsageError, match="event loop"):
        Mailer.from_env().campaign("x")


@pytest.mark.thorough
def test_ctrl_c_finishes_what_is_on_the_wire_and_the_next_run_the_rest(
    desk: Path, smtp_capture: CaptureServer, warm: Warm
) -> None:
    (desk / "script.py").write_text(
        "from mailer import Campaign\n"
        "rows = [{'email': f'slow+1s-{n}@example.com', 'name': 'S'} for n in range(12)]\n"
        "campaign = Campaign(template='hello', sender='a@acme.example', recipients=rows, key='k')\n"
        "print(campaign.send().totals.sent)\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    source, out, err = (desk / f".first.{name}" for name in ("in", "out", "err"))
    for file in (source, out, err):
        file.touch()
    first = Running(warm.fork(["script.py"], desk, environ, source, out, err), ["script.py"], out, err)
    deadline = time.monotonic() + 20
    while smtp_capture.mailbox.accepted < 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    first.signal(signal.SIGINT)
    assert first.wait() != 0
    assert "KeyboardInterrupt" in err.read_text()
    assert 1 <= smtp_capture.mailbox.accepted < 12
    assert warm.run(["script.py"], desk, environ)[:2] == (0, "12\n")
    assert smtp_capture.mailbox.accepted == 12


@pytest.mark.thorough
def test_a_handle_can_be_used_later_in_pieces(desk: Path, smtp_capture: CaptureServer) -> None:
    handle = hello([*people(3), {"email": "bounce+550@example.com", "name": "X"}]).send(wait=False)
    assert handle.status().totals.queued == 4
    assert smtp_capture.mailbox.accepted == 0
    assert handle.pause("wait for the boss")
    assert handle.wait().paused_reason == "wait for the boss"
    with pytest.raises(NotSentError, match="is paused"):
        handle.report().raise_for_status()
    assert handle.resume()
    assert sorted(event.state for event in handle.events()) == ["refused", "sent", "sent", "sent"]
    assert handle.retry(state="refused", limit=1).recipients + handle.retry(state="failed").recipients <= 1
    assert handle.wait(timeout=30).totals.sent == 3
    paths = handle.report().save(desk / "out", formats=("json", "jsonl"))
    assert [path.name for path in paths] == ["report.json", "report.jsonl"]
    assert len(paths[1].read_text().splitlines()) == 4
