"""A whole listing from rows, in one call."""

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import TextIO

from mailer.reports.csv_export import CsvExport
from mailer.reports.document import RECORD_KEYS
from mailer.reports.files import whole
from mailer.reports.html import HtmlPage
from mailer.reports.json_lines import JsonLines
from mailer.reports.listing import Listing, Row
from mailer.vocabulary.line import line_of
from mailer.vocabulary.report import Report


def fill(listing: Listing, rows: Iterable[Row]) -> None:
    """Add every row, and end the listing."""
    for row in rows:
        listing.add(row)
    listing.end()


def write_csv(rows: Iterable[Row], stream: TextIO, *, raw: bool = False) -> None:
    """Write the header and all rows to the stream, one at a time."""
    fill(CsvExport(stream, raw=raw), rows)


def write_html(report: Report, rows: Iterable[Row], stream: TextIO, *, next_try: datetime | None = None) -> None:
    """Write the whole page to the stream, one row at a time."""
    fill(HtmlPage(report, stream, next_try=next_try), rows)


def write_json_lines(rows: Iterable[Row], stream: TextIO) -> None:
    """Write all rows to the stream, one at a time."""
    fill(JsonLines(stream), rows)


def record_document(row: Row) -> dict[str, object]:
    """What is known of one recipient, or of a row left out, under `RECORD_KEYS`; what is absent is None."""
    return dict(zip(RECORD_KEYS, line_of(row), strict=True))


def write_whole(path: str | Path, writer: Callable[[TextIO], object]) -> None:
    """Have `writer` write a text file that replaces `path` once it is complete. Raises `UsageError` E112."""
    with whole(path) as stream:
        writer(stream)
