import io
import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest

from mailer.reports.document import RECORD_KEYS, report_document, report_json
from mailer.reports.listing import Row
from mailer.vocabulary.report import RecipientRecord, Report
from tests.reports.writing import record_document, write_json_lines

from .samples import ENMITY, LEFT_OUT, PAUSED, RECORDS, REPORT, ROWS, hostile_report, hostile_rows
from .schema import complaints, shipped

REPORT_SCHEMA = shipped("report.schema.json")
RECORD_SCHEMA = shipped("record.schema.json")


@pytest.mark.parametrize("report", [REPORT, PAUSED, *map(hostile_report, ENMITY)])
def test_the_document_of_a_report_satisfies_the_schema_that_is_shipped(report: Report) -> None:
    assert complaints(json.loads(report_json(report)), REPORT_SCHEMA) == []


@pytest.mark.parametrize("row", [*ROWS, *(row for words in ENMITY for row in hostile_rows(words))])
def test_every_line_satisfies_the_schema_that_is_shipped(row: Row) -> None:
    stream = io.StringIO()
    write_json_lines([row], stream)

    assert complaints(json.loads(stream.getvalue()), RECORD_SCHEMA) == []


def test_a_document_with_something_missing_or_of_another_type_does_not_satisfy_the_schema() -> None:
    document = report_document(REPORT)
    del document["totals"]
    document["refused"] = {"ann@mail.example": ["550", "no"]}
    document["as_of"] = "yesterday"

    assert len(complaints(document, REPORT_SCHEMA)) == 3


def test_the_keys_of_a_report_come_in_the_order_that_was_promised() -> None:
    assert list(report_document(REPORT)) == [
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


def test_the_keys_of_a_record_are_the_fields_of_a_recipient_in_their_order() -> None:
    named = ["class" if field.name == "failure" else field.name for field in fields(RecipientRecord)]

    assert list(RECORD_KEYS) == named
    assert all(list(record_document(row)) == named for row in ROWS)


def test_the_schemas_require_exactly_the_keys_that_are_written() -> None:
    assert RECORD_SCHEMA["required"] == list(RECORD_KEYS)
    assert REPORT_SCHEMA["required"] == list(report_document(REPORT))


def test_a_document_survives_json_unchanged() -> None:
    document = report_document(REPORT)

    assert json.loads(json.dumps(document)) == document == msgspec.json.decode(report_json(REPORT))


def test_refused_has_the_shape_of_smtplibs_dict() -> None:
    assert report_document(replace(REPORT, refused={"ann@shop.example": (550, "5.1.1 unknown user")}))["refused"] == {
        "ann@shop.example": [550, "5.1.1 unknown user"]
    }


def test_a_row_left_out_is_a_record_with_its_state_and_its_reason() -> None:
    document = record_document(LEFT_OUT[0])

    assert {key: value for key, value in document.items() if value is not None} == {
        "row": 88,
        "email": "bob@@acme.example",
        "state": "invalid",
        "reason": "two @ signs",
        "attempts": 0,
    }


@pytest.mark.parametrize(
    ("time", "written"),
    [
        (datetime(2026, 11, 21, 7, 21, 28, tzinfo=UTC), "2026-11-21T07:21:28.000Z"),
        (datetime(2026, 11, 21, 7, 21, 28, 999_999, tzinfo=UTC), "2026-11-21T07:21:28.999Z"),
        (datetime(2026, 11, 21, 1, 0, tzinfo=timezone(timedelta(hours=2))), "2026-11-20T23:00:00.000Z"),
    ],
)
def test_times_are_iso_8601_in_utc_wherever_they_come_from(time: datetime, written: str) -> None:
    assert record_document(replace(RECORDS[0], first_try=time))["first_try"] == written
    assert report_document(replace(REPORT, as_of=time))["as_of"] == written
