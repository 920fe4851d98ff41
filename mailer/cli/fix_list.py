"""The fix list: rows that cannot be sent, as they were and with the reason, in a CSV file to be mended."""

import csv
import json
from typing import TextIO

from mailer.interfaces.source import Row
from mailer.policy.spreadsheet_cells import shield
from mailer.reports.csv_export import harmless

_OWN = ("row", "line", "reason")
_WHOLE = "json"
"""The one column of a source that declares none (JSON Lines): the object as it was."""


class FixList:
    """Writes a header, then a line for each row: its number, its line in the file, the reason, and its cells.

    Open the stream with `newline=""` (RFC 4180). Whatever a spreadsheet would take for a formula gets an apostrophe in
    front. A row with too few or too many cells has none here; its line says where to look.
    """

    def __init__(self, stream: TextIO, columns: tuple[str, ...] | None) -> None:
        self._columns = columns
        self._write = csv.writer(stream).writerow
        theirs = columns if columns is not None else (_WHOLE,)
        self._write([*(_unlike(name, theirs) for name in _OWN), *map(_cell, theirs)])
        self.rows = 0

    def add(self, row: Row, reason: str) -> None:
        """Write one line."""
        self.rows += 1
        if self._columns is None:
            theirs = [json.dumps(dict(row.columns), ensure_ascii=False, default=str)]
        else:
            theirs = [str(row.columns.get(name, "")) for name in self._columns]
        self._write([row.number, "" if row.line is None else row.line, _cell(reason), *map(_cell, theirs)])


def _cell(text: str) -> object:
    return harmless(shield(text))


def _unlike(name: str, others: tuple[str, ...]) -> str:
    """The name, lengthened until no column of the list has it: the mended file must be a list again."""
    while name in others:
        name += "_"
    return name
