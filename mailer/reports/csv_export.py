"""Recipients as CSV (RFC 4180) that a spreadsheet shows and never calculates."""

import csv
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import TextIO

from mailer.reports.document import RECORD_KEYS
from mailer.reports.listing import Row
from mailer.vocabulary.line import Line, line_of

# What makes a spreadsheet take a cell for a formula (CWE-1236): the signs, their full-width forms, and the white space
# that some programs skip in front of them.
_BEGINS_FORMULA = frozenset("=+-@\t\r\n\0＝＋－＠")

_FREE_TEXTS = itemgetter(
    *(
        Line._fields.index(name)
        for name in (
            "email",
            "enhanced_code",
            "text",
            "reason",
            "message_id",
            "server_queue_id",
            "relay",
            "worker",
            "tls",
        )
    )
)
"""The cells with words of others in them; the rest are numbers, times and words of ours."""


class CsvExport:
    """Writes a header, then each row in the column order of `RECORD_KEYS`; numbers stay numbers, absent is empty.

    Open the stream with `newline=""`: lines end in CRLF as the standard wants. With `raw` the cells are written as they
    are; without, an apostrophe stands before every text that a spreadsheet would take for a formula.
    """

    def __init__(self, stream: TextIO, *, raw: bool = False) -> None:
        self._raw = raw
        writer = csv.writer(stream)
        self._write = writer.writerows
        writer.writerow(RECORD_KEYS)

    def add(self, row: Row) -> None:
        """Write one line."""
        self.extend((line_of(row),))

    def extend(self, lines: Sequence[Line]) -> None:
        """Write many lines."""
        self._write(lines if self._raw else map(_harmless_line, lines))

    def end(self) -> None:
        """Nothing follows the last line."""


def _harmless_line(line: Line) -> Iterable[object]:
    # Nearly all lines are harmless as they are.
    if _BEGINS_FORMULA.isdisjoint([cell[0] for cell in _FREE_TEXTS(line) if cell]):
        return line
    return map(harmless, line)


def harmless(cell: object) -> object:
    """The cell, with an apostrophe in front where it is a text that begins like a formula."""
    return f"'{cell}" if type(cell) is str and cell[:1] in _BEGINS_FORMULA else cell
