"""Recipients as CSV (RFC 4180) that a spreadsheet shows and never calculates."""

import csv
from collections.abc import Iterable
from typing import TextIO

from mailer.reports.document import RECORD_KEYS, record_document
from mailer.reports.listing import Row, fill

# What makes a spreadsheet take a cell for a formula (CWE-1236): the signs, their full-width forms, and the white space
# that some programs skip in front of them.
_BEGINS_FORMULA = frozenset("=+-@\t\r\n\0＝＋－＠")


class CsvExport:
    """Writes a header, then each row in the column order of `RECORD_KEYS`; numbers stay numbers, absent is empty.

    Open the stream with `newline=""`: lines end in CRLF as the standard wants. With `raw` the cells are written as they
    are; without, an apostrophe stands before every text that a spreadsheet would take for a formula.
    """

    def __init__(self, stream: TextIO, *, raw: bool = False) -> None:
        self._raw = raw
        self._write = csv.writer(stream).writerow
        self._write(RECORD_KEYS)

    def add(self, row: Row) -> None:
        """Write one line."""
        cells = record_document(row).values()
        self._write(cells if self._raw else [harmless(cell) for cell in cells])

    def end(self) -> None:
        """Nothing follows the last line."""


def write_csv(rows: Iterable[Row], stream: TextIO, *, raw: bool = False) -> None:
    """Write the header and all rows to the stream, one at a time."""
    fill(CsvExport(stream, raw=raw), rows)


def harmless(cell: object) -> object:
    """The cell, with an apostrophe in front where it is a text that begins like a formula."""
    return f"'{cell}" if type(cell) is str and cell[:1] in _BEGINS_FORMULA else cell
