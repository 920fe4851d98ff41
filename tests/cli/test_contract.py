"""The contract for scripts: what `send --detach`, `worker --burst` and `report` print is read by programs."""

import csv
import io
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mailer.capture.server import CaptureServer
from tests.cli.desk import Desk, Done, identities
from tests.cli.running import Running, Warm
from tests.reports.schema import complaints, shipped

RECORD_KEYS = [
    "row",
    "email",
    "state",
    "code",
    "enhanced_code",
    "text",
    "phase",
    "class",
    "reason",
    "attempts",
    "first_try",
    "last_try",
    "next_try",
    "queue_ms",
    "smtp_ms",
    "message_id",
    "server_queue_id",
    "relay",
    "worker",
    "tls",
]
TOTALS = [
    "rows",
    "invalid",
    "duplicate",
    "accepted",
    "queued",
    "claimed",
    "sending",
    "deferred",
    "sent",
    "refused",
    "failed",
    "suppressed",
    "cancelled",
    "in_doubt",
]
PEOPLE = [
    "ann",
    "bounce+550",
    "two@@signs.example",
    "reject+554",
    "ann",
    "defer+451",
    "drop",
    "nameless",
    "gone",
    "bob@elsewhere.example",
]
STATES = ["sent", "refused", "invalid", "refused", "duplicate", "deferred", "in_doubt", "failed", "suppressed", "sent"]
"""What becomes of them, row by row."""


@dataclass
class Story:
    """One campaign in which everything happens, told by the three commands."""

    desk: Desk
    accepted: Done
    worked: Done

    @property
    def id(self) -> str:
        found: str = self.accepted.document["campaign_id"]
        return found

    def start(self, *words: str) -> Running:
        return self.desk.start("report", self.id, *words)

    def report(self, *words: str) -> Done:
        return self.desk.run("report", self.id, *words)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, relay: CaptureServer, warm: Warm) -> Iterator[Story]:
    desk = Desk(tmp_path_factory.mktemp("story"), tmp_path_factory.mktemp("q"), relay, warm)
    desk.campaign()
    rows: list[dict[str, str]] = [{"email": desk.address(person), "first_name": person} for person in PEOPLE]
    del rows[PEOPLE.index("nameless")]["first_name"]
    desk.write("people.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))
    desk.ledger(lambda ledgers: ledgers.suppression.add(desk.address("gone"), "asked us to stop"))
    accepted = desk.run("send", "--recipients", "people.jsonl", "--skip-bad", "--yes", "--detach", "--json", cold=True)
    yield Story(desk, accepted, desk.run("worker", "--burst", "--json", cold=True))
    desk.close(stop_queue=True)


def without(mapping: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in mapping.items() if name not in names}


@pytest.mark.thorough
def test_the_line_of_a_detached_send_has_these_keys_in_this_order(story: Story) -> None:
    assert (story.accepted.code, story.accepted.err) == (0, "")
    assert list(story.accepted.document.items()) == [
        ("schema_version", 1),
        ("campaign_id", story.id),
        ("accepted", 8),
        ("invalid", 1),
        ("duplicate", 1),
        ("suppressed", 1),
    ]
    assert story.id.startswith(f"{story.desk.name}-")


def test_the_same_send_again_prints_the_same_line(story: Story) -> None:
    again = story.desk.run("send", "--recipients", "people.jsonl", "--skip-bad", "--yes", "--detach", "--json")
    assert again == story.accepted


def test_a_burst_says_what_became_of_what(story: Story) -> None:
    assert story.worked.code == 0
    assert list(story.worked.document) == (
        [
            "schema_version",
            "worked",
            "sent",
            "refused",
            "failed",
            "suppressed",
            "cancelled",
            "in_doubt",
            "deferred",
            "next_due",
        ]
    )
    told = without(story.worked.document, "next_due")
    # What was failed or suppressed when it was accepted is no work any more.
    assert told == {
        "schema_version": 1,
        "worked": 6,
        "sent": 2,
        "refused": 2,
        "failed": 0,
        "suppressed": 0,
        "cancelled": 0,
        "in_doubt": 1,
        "deferred": 1,
    }
    assert story.worked.document["next_due"].endswith("Z")


@pytest.mark.thorough
def test_a_burst_ends_at_once_when_nothing_is_due(story: Story) -> None:
    again = story.desk.run("worker", "--burst")
    assert again.code == 0
    assert again.out.startswith("nothing to do; next due 2")
    assert story.desk.arrived == {"ann": 1}


def test_the_json_report_keeps_its_schema_and_both_sums(story: Story) -> None:
    done = story.report("--format", "json")
    assert (done.code, done.err) == (0, "")
    report = done.document
    assert complaints(report, shipped("report.schema.json")) == []
    assert list(report) == (
        [
            "schema_version",
            "as_of",
            "campaign",
            "totals",
            "reasons",
            "domains",
            "refused",
            "timings",
            "attempts",
            "messages_url",
            "warnings",
        ]
    )
    promised = [
        "id",
        "name",
        "key",
        "state",
        "paused_reason",
        "source_complete",
        "template",
        "template_sha256",
        "sender",
        "server",
        "tls",
        "rate",
        "created",
        "started",
        "finished",
        "elapsed_s",
        "mean_rate",
        "peak_rate",
        "version",
    ]
    assert [key for key in report["campaign"] if key in promised] == promised
    assert list(report["totals"]) == TOTALS
    assert report["totals"] == {
        "rows": 10,
        "invalid": 1,
        "duplicate": 1,
        "accepted": 8,
        "queued": 0,
        "claimed": 0,
        "sending": 0,
        "deferred": 1,
        "sent": 2,
        "refused": 2,
        "failed": 1,
        "suppressed": 1,
        "cancelled": 0,
        "in_doubt": 1,
    }
    assert identities(report["totals"])
    assert (report["campaign"]["id"], report["campaign"]["state"]) == (story.id, "running")


def test_refused_is_the_dict_that_smtplib_gives(story: Story) -> None:
    assert story.report("--json").document["refused"] == {
        story.desk.address("bounce+550"): [550, "5.1.1 unknown user"],
        story.desk.address("reject+554"): [554, "5.7.1 message rejected"],
    }


def test_json_lines_have_one_object_for_each_recipient_in_the_order_of_the_rows(story: Story) -> None:
    done = story.report("--format", "jsonl")
    records = [json.loads(line) for line in done.out.splitlines()]
    assert [list(record) for record in records] == [RECORD_KEYS] * 8
    for record in records:
        assert complaints(record, shipped("record.schema.json")) == []
    expected = [
        (row, story.desk.address(person), state)
        for row, (person, state) in enumerate(zip(PEOPLE, STATES, strict=True), 1)
        if state not in ("invalid", "duplicate")
    ]
    assert [(record["row"], record["email"], record["state"]) for record in records] == expected


def test_what_a_record_says_of_a_refusal_a_delay_and_a_doubt(story: Story) -> None:
    records = {
        record["email"].partition("@")[0]: record
        for record in map(json.loads, story.report("--format", "jsonl").out.splitlines())
    }
    said = {
        person: tuple(record[key] for key in ("code", "enhanced_code", "phase", "class", "attempts"))
        for person, record in records.items()
    }
    assert said["ann"][:2] == (250, "2.0.0")
    assert said["bounce+550"] == (550, "5.1.1", "rcpt", "permanent", 1)
    assert said["reject+554"] == (554, "5.7.1", "dot", "permanent", 1)
    assert said["defer+451"] == (451, "4.3.0", "rcpt", "temporary", 1)
    assert said["drop"] == (None, None, "dot", "unknown", 1)
    assert said["nameless"] == (None, None, "build", "local", 0)
    assert records["nameless"]["reason"] == "build"
    assert "first_name" in records["nameless"]["text"]
    assert records["defer+451"]["next_try"] > records["defer+451"]["last_try"]


def test_all_rows_stand_in_their_places(story: Story) -> None:
    done = story.report("--all-rows", "--format", "jsonl")
    records = [json.loads(line) for line in done.out.splitlines()]
    assert [(record["row"], record["state"]) for record in records] == list(enumerate(STATES, 1))
    assert [list(record) for record in records] == [RECORD_KEYS] * 10
    assert records[2]["email"] == "two@@signs.example"
    assert records[2]["reason"]


def test_csv_has_the_same_columns_and_line_ends_of_the_standard(story: Story) -> None:
    text = story.report("--format", "csv").out
    assert text.count("\r\n") == text.count("\n") == 9
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows[0] == RECORD_KEYS
    assert [row[2] for row in rows[1:]] == [state for state in STATES if state not in ("invalid", "duplicate")]


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "html", "table"])
def test_a_file_gets_what_would_have_gone_to_stdout(story: Story, form: str, tmp_path: Path) -> None:
    path = tmp_path / "report"
    done = story.report("--format", form, "-o", str(path))
    assert (done.code, done.out) == (0, "")
    written = path.read_text(encoding="utf-8")
    if form == "html":
        assert written.startswith("<!doctype html>")
        assert story.desk.address("reject+554") in written
        assert "http" not in written.replace("http-equiv", "")
    elif form == "table":
        assert f"Delivery report  {story.id}" in written
    elif form == "json":
        assert json.loads(written)["campaign"]["id"] == story.id
    else:
        assert len(written.splitlines()) == 8 + (form == "csv")
    assert list(tmp_path.glob(".report-*")) == []


def test_recipients_are_selected_by_state_and_domain(story: Story) -> None:
    refused = story.report("--refused")
    assert [line.split()[:4] for line in refused.out.splitlines()] == [
        ["2", "refused", story.desk.address("bounce+550"), "550"],
        ["4", "refused", story.desk.address("reject+554"), "554"],
    ]
    states = story.report("--state", "in_doubt,failed,duplicate", "--json")
    assert [record["row"] for record in states.document["recipients"]] == [5, 7, 8]
    assert states.document["totals"]["accepted"] == 8
    domain = story.report("--domain", "Elsewhere.EXAMPLE", "--format", "jsonl")
    assert [json.loads(line)["email"] for line in domain.out.splitlines()] == ["bob@elsewhere.example"]


def test_redacted_nobody_can_be_recognised_but_everybody_counted(story: Story) -> None:
    shapes = [story.start("--redact", "--all-rows", "--format", form) for form in ("json", "csv", "table")]
    forms = [story.desk.end(running).out for running in shapes]
    for person in {person.partition("@")[0] for person in PEOPLE}:
        for form in forms:
            assert f"{person}@" not in form
    assert list(json.loads(forms[0])["refused"].values()) == [
        [550, "5.1.1 unknown user"],
        [554, "5.7.1 message rejected"],
    ]
    rows = list(csv.DictReader(io.StringIO(forms[1], newline="")))
    assert [row["email"].startswith("~") for row in rows] == [True] * 10


def test_the_table_is_for_people_and_adds_up_before_their_eyes(story: Story) -> None:
    done = story.report()
    assert f"Delivery report  {story.id}" in done.out
    assert "8 accepted + 1 invalid + 1 duplicate = 10 rows ✓" in done.out
    assert "550 5.1.1 unknown user" in done.out
    assert done.err == ""


def test_the_exit_code_of_a_report_is_about_the_report_unless_asked(story: Story) -> None:
    assert story.report("--exit-code").code == 5


def test_an_id_is_found_by_its_beginning_and_without_one_the_latest(story: Story) -> None:
    for words in ((story.id[:-2],), ()):
        assert story.desk.run("report", *words, "--json").document["campaign"]["id"] == story.id
    unknown = story.desk.run("report", "nobody-1234", "--json")
    assert (unknown.code, unknown.error["code"]) == (2, "E109")


@pytest.mark.thorough
def test_a_reader_that_leaves_early_is_no_error(story: Story) -> None:
    with subprocess.Popen(["head", "-c", "1"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as head:
        process = story.desk.start("report", story.id, "--format", "html", cold=True, stdout=head.stdin)
        assert head.stdin is not None
        head.stdin.close()
        head.wait()
        done = story.desk.end(process)
    assert (done.code, done.err) == (0, "")


@pytest.mark.thorough
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="writes to /dev/full")
def test_an_output_that_cannot_be_written_is_named_as_such(story: Story) -> None:
    with open("/dev/full", "w") as full:
        done = story.desk.end(story.desk.start("report", story.id, cold=True, stdout=full))
    assert done.code == 2
    assert done.err.startswith("error[E112]: the output could not be written: No space left on device\n")
