"""The fix list: rows that cannot be sent, with the reason, in the form of the list they come from, to be mended."""

import csv
import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Protocol, TextIO

from mailer.interfaces.source import Row
from mailer.policy.spreadsheet_cells import shield
from mailer.reports.csv_export import harmless

if TYPE_CHECKING:
    from mailer.backends.sources.opening import Format

SUFFIXES: "Mapping[Format, tuple[str, ...]]" = {"csv": (".csv", ".tsv"), "jsonl": (".jsonl", ".ndjson")}
"""Of files that are read as a list in this form without being told."""


class FixList(Protocol):
    """Takes rows and writes them. Mended, what it has written is a list again."""

    @property
    def form(self) -> "Format":
        """What it writes."""

    @property
    def has_formulas(self) -> bool:
        """True when a cell was written that a spreadsheet would take for a formula."""

    def add(self, row: Row, reason: str) -> None:
        """Write one row."""


def fix_list(stream: TextIO, columns: tuple[str, ...] | None) -> FixList:
    """A fix list for a source with these columns; one that declares none has objects, and so has its fix list.

    Open the stream with `newline=""` (RFC 4180).
    """
    return FixObjects(stream) if columns is None else FixCells(stream, columns)


def form_of(columns: tuple[str, ...] | None) -> "Format":
    """The form of that fix list."""
    return "jsonl" if columns is None else "csv"


class FixCells:
    """Writes CSV: a header, then a line for each row: its number, its line in the file, the reason, and its cells.

    Cells are as they were, because the mended file is sent again: a text editor is the place to mend it, not a
    spreadsheet, which would calculate some of them and take zeros from others. Only the reason, which nobody sends,
    gets an apostrophe where it begins like a formula. A row with too few or too many cells has none here; its line
    says where to look.
    """

    form: "Format" = "csv"

    def __init__(self, stream: TextIO, columns: tuple[str, ...]) -> None:
        self._columns = columns
        self._write = csv.writer(stream).writerow
        self._write([*(_unlike(name, columns) for name in ("row", "line", "reason")), *columns])
        self.has_formulas = False

    def add(self, row: Row, reason: str) -> None:
        """Write one line."""
        theirs = [str(row.columns.get(name, "")) for name in self._columns]
        self.has_formulas = self.has_formulas or any(_harmless(cell) != cell for cell in theirs)
        self._write([row.number, "" if row.line is None else row.line, _harmless(reason), *theirs])


class FixObjects:
    """Writes JSON Lines: each row as it was, with its number as `_row` and the reason as `_reason` in front."""

    form: "Format" = "jsonl"
    has_formulas = False

    def __init__(self, stream: TextIO) -> None:
        self._write = stream.write

    def add(self, row: Row, reason: str) -> None:
        """Write one line."""
        own = {_unlike("_row", row.columns): row.number, _unlike("_reason", row.columns): reason}
        self._write(json.dumps(own | dict(row.columns), ensure_ascii=False, default=str) + "\n")


def _harmless(text: str) -> object:
    return harmless(shield(text))


def _unlike(name: str, others: Collection[str]) -> str:
    """The name, lengthened until nothing in the list is called so: the mended file must be a list again."""
    while name in others:
        name += "_"
    return name
