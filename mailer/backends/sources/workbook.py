"""One sheet of a workbook, Excel or OpenDocument. Needs the `[tables]` extra."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from typing import TYPE_CHECKING

from mailer.backends.sources.content import FileContent
from mailer.backends.sources.header import missing, no_column, refuse_duplicates, trimmed
from mailer.backends.sources.workbook_size import DAMAGE, BinaryError, TooLargeError, refuse_large
from mailer.interfaces.source import Row, Value
from mailer.vocabulary.errors import SourceError

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook


class Workbook:
    """A sheet whose first row that is not blank names the columns. A `RecipientSource`; the first sheet by default.

    A cell is text, a number, or true or false; a whole number has no point, dates and times are ISO 8601 text, and an
    empty cell is an empty text. Formulas are what they came to when the workbook was saved. The sheet is held in memory
    while it is read.

    Raises:
        SourceError: E201 unreadable or changed, E203 a needed column is missing, E207 the sheet is empty, E209 two
            columns have one name, E210 it is no such workbook, has no such sheet, is too large, or the extra is
            missing.
    """

    def __init__(self, content: FileContent, *, sheet: str | None = None, needed: Iterable[str] = ("email",)) -> None:
        self._content = content
        self._sheet = sheet
        # The content cannot change without being noticed, so one look at its size is enough.
        self._is_bounded = False
        self.name = f"{content.name}#{sheet}" if sheet is not None else content.name
        """How messages call it."""
        with self._opened() as opened:
            first, names = self._header(opened)
        where = f"{self.name}:{first}"
        needed = tuple(needed)
        if missing(names, needed):
            raise no_column(self.name, names, needed, where)
        self._first = first
        self._names = tuple(name.strip() for name in names)
        self.trimmed = trimmed(names)
        """Names that had spaces around them: a warning is due."""
        refuse_duplicates(self._names, self.name, where)

    @property
    def content_hash(self) -> str:
        """SHA-256 of the file, and of the name of the sheet where one is named."""
        if self._sheet is None:
            return self._content.sha256
        return hashlib.sha256(f"{self._content.sha256}#{self._sheet}".encode()).hexdigest()

    @property
    def is_repeatable(self) -> bool:
        """True where it can be read again."""
        return self._content.is_repeatable

    @property
    def columns(self) -> tuple[str, ...]:
        """The names in the header. A column without a name is left out, here and in the rows."""
        return tuple(name for name in self._names if name)

    def rows(self) -> Iterator[Row]:
        """Read from the beginning. Blank lines are no rows; `line` is the number the spreadsheet shows."""
        named = [(place, name) for place, name in enumerate(self._names) if name]
        number = 0
        with self._opened() as sheet:
            for line, cells in enumerate(sheet.iter_rows(), start=1):
                if line > self._first and not _is_blank(cells):
                    number += 1
                    yield Row(number, {name: _value(cells[place]) for place, name in named}, line)
        if number == 0:
            raise self._no_recipients()

    def _header(self, sheet: "CalamineSheet") -> tuple[int, list[str]]:
        for line, cells in enumerate(sheet.iter_rows(), start=1):
            if not _is_blank(cells):
                return line, [str(_value(cell)) for cell in cells]
        raise self._no_recipients()

    @contextmanager
    def _opened(self) -> "Iterator[CalamineSheet]":
        # Imported here: it is an extra, and nobody else needs it.
        try:
            from python_calamine import CalamineError, CalamineWorkbook
        except ImportError:
            raise self._unusable("reading it needs the [tables] extra", "pip install '.[tables]'") from None
        with self._content.opened() as stream, self._no_panic():
            try:
                if not self._is_bounded:
                    refuse_large(stream)
                    stream.seek(0)
                    self._is_bounded = True
                with CalamineWorkbook.from_filelike(stream) as workbook:
                    sheet = workbook.get_sheet_by_name(self._chosen(workbook))
            except TooLargeError as error:
                raise self._unusable(f"it is too large: {error}", "save the sheet as CSV UTF-8") from None
            except BinaryError:
                raise self._unusable("it is a binary workbook (.xlsb)", "save it as .xlsx, or as CSV UTF-8") from None
            except (CalamineError, *DAMAGE) as error:
                why = f"it cannot be read as a workbook: {str(error) or type(error).__name__}"
                raise self._unusable(why, "save it as .xlsx without a password, or as CSV UTF-8") from error
            yield sheet

    @contextmanager
    def _no_panic(self) -> Iterator[None]:
        """Turn a panic of the reader, which is a mistake in it, into an error like that of any other damage."""
        try:
            yield
        except BaseException as error:
            # The class of a panic cannot be imported, and is no `Exception`.
            if type(error).__name__ != "PanicException":
                raise
            raise self._unusable(f"its reader gives up: {error}", "save it again, or as CSV UTF-8") from error

    def _chosen(self, workbook: "CalamineWorkbook") -> str:
        """The name of the sheet that is wanted; by default the first that shows a table."""
        from python_calamine import SheetTypeEnum, SheetVisibleEnum

        tables = [sheet for sheet in workbook.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
        if self._sheet is None and tables:
            shown = [sheet.name for sheet in tables if sheet.visible == SheetVisibleEnum.Visible]
            return (shown or [tables[0].name])[0]
        if self._sheet is not None and any(sheet.name == self._sheet for sheet in tables):
            return self._sheet
        hint = "   or ".join(f"{self._content.name}#{sheet.name}" for sheet in tables[:5])
        what = "it has no sheet" if self._sheet is None else f"it has no sheet {self._sheet!r}"
        raise self._unusable(what, hint or "save the list as CSV UTF-8")

    def _unusable(self, why: str, hint: str) -> SourceError:
        return SourceError("E210", f"{self.name}: {why}", where=self.name, hint=hint)

    def _no_recipients(self) -> SourceError:
        hint = "a header line and one line for each recipient"
        return SourceError("E207", f"{self.name} has no recipients", where=self.name, hint=hint)


def _is_blank(cells: Sequence[object]) -> bool:
    return all(isinstance(cell, str) and not cell.strip() for cell in cells)


def _value(cell: object) -> Value:
    """A cell as a template gets it. A workbook knows only one kind of number."""
    match cell:
        case float() if cell.is_integer():
            return int(cell)
        case datetime() | date() | time():
            return cell.isoformat()
        case str() | bool() | int() | float():
            return cell
    return str(cell)
