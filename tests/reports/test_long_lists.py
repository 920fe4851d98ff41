"""Lists of many: written by the batch as row by row, and short where a page or a terminal would drown."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import TextIO

import pytest

from mailer.reports.csv_export import CsvExport
from mailer.reports.document import report_document
from mailer.reports.html import HtmlPage
from mailer.reports.json_document import JsonDocument
from mailer.reports.json_lines import JsonLines
from mailer.reports.listing import Listing, Row
from mailer.reports.redaction import Redaction
from mailer.reports.summary import domains_in_brief, state_lines, sums
from mailer.reports.tables import domain_table
from mailer.vocabulary.line import instant, line_of
from mailer.vocabulary.recipient import State
from mailer.vocabulary.report import DomainCount
from mailer.vocabulary.totals import Totals
from tests.reports.samples import LEFT_OUT, RECORDS, REPORT
from tests.reports.schema import complaints, shipped
from tests.reports.writing import fill

ROWS: tuple[Row, ...] = (*RECORDS, *LEFT_OUT)


def domain(number: int) -> DomainCount:
    return DomainCount(
        domain=f"d{number}.test",
        accepted=number,
        sent=number - 1,
        deferred=0,
        refused=1,
        failed=0,
        suppressed=0,
        in_doubt=0,
    )


@pytest.mark.parametrize(
    "begin",
    [
        CsvExport,
        lambda stream: CsvExport(stream, raw=True),
        JsonLines,
        lambda stream: JsonDocument(REPORT, stream),
        lambda stream: HtmlPage(REPORT, stream),
    ],
    ids=["csv", "raw", "jsonl", "json", "html"],
)
def test_many_rows_at_once_are_written_as_one_by_one(begin: Callable[[TextIO], Listing]) -> None:
    one_by_one, at_once = io.StringIO(newline=""), io.StringIO(newline="")
    listing = begin(one_by_one)
    for row in ROWS:
        listing.add(row)
    listing.end()
    listing = begin(at_once)
    listing.extend([])
    listing.extend(list(map(line_of, ROWS[:5])))
    listing.extend(list(map(line_of, ROWS[5:])))
    listing.end()
    assert one_by_one.getvalue() == at_once.getvalue()


@pytest.mark.parametrize("count", [0, 1, len(ROWS)])
def test_the_document_with_recipients_is_the_report_and_their_records(count: int) -> None:
    stream, lines = io.StringIO(), io.StringIO()
    fill(JsonDocument(REPORT, stream), ROWS[:count])
    fill(JsonLines(lines), ROWS[:count])
    document = json.loads(stream.getvalue())
    assert document.pop("recipients") == list(map(json.loads, lines.getvalue().splitlines()))
    assert document == json.loads(json.dumps(report_document(REPORT)))
    assert stream.getvalue().count("\n") == 1


def test_the_document_with_recipients_is_as_its_schema_says() -> None:
    stream = io.StringIO()
    fill(JsonDocument(REPORT, stream), ROWS)
    assert complaints(json.loads(stream.getvalue()), shipped("report.schema.json")) == []


def test_a_redacted_line_is_the_line_of_the_redacted_row() -> None:
    redaction = Redaction()
    assert [redaction.line(line_of(row)) for row in ROWS] == [line_of(redaction.row(row)) for row in ROWS]


@pytest.mark.parametrize(
    ("ms", "written"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_763_709_688_123, "2025-11-21T07:21:28.123Z"),
        (1_763_709_688_999, "2025-11-21T07:21:28.999Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
    ],
)
def test_a_time_is_written_to_the_millisecond(ms: int, written: str) -> None:
    assert instant(ms) == written


def test_domains_without_a_line_of_their_own_have_one_together() -> None:
    brief = domains_in_brief(map(domain, range(1, 21)), 5)
    assert [one.domain for one in brief] == ["d20.test", "d19.test", "d18.test", "d17.test", "d16.test", "15 others"]
    assert (brief[-1].accepted, brief[-1].sent, brief[-1].refused) == (120, 105, 15)
    assert len(domains_in_brief(map(domain, range(1, 7)), 5)) == 6


@pytest.mark.thorough
def test_a_list_with_every_domain_once_stays_short() -> None:
    many = replace(REPORT, domains=tuple(map(domain, range(1, 5001))))
    table = domain_table(many).splitlines()
    assert len(table) < 110
    assert "4 900 others" in table[-1]
    page = io.StringIO()
    HtmlPage(many, page).end()
    assert page.getvalue().count(".test") < 1100


@pytest.mark.parametrize(
    ("text", "explained"),
    [
        ("connection closed", "connection lost after the message – look before you resend"),
        ("connection lost: timed out", "connection lost after the message – look before you resend"),
        ("worker died while sending; not re-sent", "worker died while sending; not re-sent – look before you resend"),
    ],
)
def test_a_doubt_is_explained_as_its_recipients_are(text: str, explained: str) -> None:
    doubt = replace(REPORT.reasons[-1], text=text)
    assert doubt.state is State.IN_DOUBT
    lines = state_lines(replace(REPORT, reasons=(*REPORT.reasons[:-1], doubt)))
    assert [line.explanation for line in lines if line.state is State.IN_DOUBT] == [explained]


def test_one_row_is_one_row() -> None:
    rows, _ = sums(Totals.of({"sent": 1}, invalid=0, duplicate=0))
    assert str(rows) == "1 accepted + 0 invalid + 0 duplicate = 1 row ✓"
