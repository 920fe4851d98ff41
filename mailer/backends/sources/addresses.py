"""A file of addresses: CSV with an email column, or one address a line."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mailer.backends.sources.content import Content, FileContent, StandardInput
from mailer.backends.sources.csv_file import CsvFile
from mailer.policy.columns import find_email_column
from mailer.policy.spreadsheet_cells import unshield


@dataclass(frozen=True, slots=True)
class Line:
    """An address as it is written, and the line it stands in (from 1). `reason` is what a column of that name says."""

    number: int
    text: str
    reason: str | None = None


def read_addresses(name: str, base: Path) -> Iterator[Line]:
    """The addresses of a file relative to `base`, or of standard input (`-`), read as a stream.

    The first line decides: one with an @ is an address, anything else is the header of a CSV file.
    Raises `SourceError` E201 to E209.
    """
    content: Content = StandardInput() if name == "-" else FileContent(base / name, name)
    with content.lines() as lines:
        first = next((line for line in lines.peek() if line.strip()), "")
    return _plain(content) if "@" in first else _from_csv(content)


def _plain(content: Content) -> Iterator[Line]:
    with content.lines() as lines:
        for number, line in enumerate(lines.read(), 1):
            lines.held = 0
            if text := line.strip():
                yield Line(number, text)


def _from_csv(content: Content) -> Iterator[Line]:
    source = CsvFile(content)
    column = find_email_column(source.columns) or "email"
    for row in source.rows():
        reason = row.columns.get("reason")
        yield Line(row.line or row.number, unshield(str(row.columns.get(column, ""))), str(reason) if reason else None)
