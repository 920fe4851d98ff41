"""CSV files (RFC 4180): strict, streamed, and never guessed from their data."""

import csv
import re
from collections.abc import Iterable, Iterator

from mailer.backends.sources.content import Content
from mailer.backends.sources.header import missing, no_column, refuse_duplicates, trimmed
from mailer.backends.sources.lines import Lines, damage
from mailer.interfaces.source import Row
from mailer.vocabulary.errors import SourceError, UsageError

DELIMITERS = (",", ";", "\t", "|")
"""What may separate the cells, in the order of preference where the header has one column only."""
MAX_FIELD = 1_000_000
"""Characters of a cell. A longer one is a lost quote."""

_SHOWN = {"\t": "TAB"}
_TAB_NAMES = ("\\t", "tab", "TAB")


class CsvFile:
    """A list whose first row names the columns. A `RecipientSource`.

    The delimiter is the only one of `, ; TAB |` under which the header has all of `needed` (names as
    `find_email_column` takes them, the address among them), unless it is given.

    Raises:
        SourceError: E202 the delimiter is not certain, E203 a needed column is missing, E204 the header is damaged,
            E207 the file is empty, E209 two columns have one name. While reading: E201, E204, E207.
        UsageError: E101, `delimiter` is not one character.
    """

    def __init__(self, content: Content, *, delimiter: str | None = None, needed: Iterable[str] = ("email",)) -> None:
        # The limit belongs to the process; somebody else's higher one is not for us to lower.
        csv.field_size_limit(max(csv.field_size_limit(), MAX_FIELD))
        self._content = content
        with content.lines() as lines:
            if delimiter is None:
                self._delimiter, names = _find_delimiter(lines, content.name, tuple(needed))
            else:
                self._delimiter = _checked(delimiter)
                names = _header_under(self._delimiter, lines, content.name, tuple(needed))
        self._names = tuple(name.strip() for name in names)
        self.trimmed = trimmed(names)
        """Names that had spaces around them: a warning is due."""
        refuse_duplicates(self._names, content.name, f"{content.name}:1")

    @property
    def name(self) -> str:
        """How messages call it."""
        return self._content.name

    @property
    def content_hash(self) -> str | None:
        """SHA-256 of the file, None for standard input."""
        return self._content.sha256

    @property
    def is_repeatable(self) -> bool:
        """True where it can be read again."""
        return self._content.is_repeatable

    @property
    def columns(self) -> tuple[str, ...]:
        """The names in the header. A column without a name is left out, here and in the rows."""
        return tuple(name for name in self._names if name)

    def rows(self) -> Iterator[Row]:
        """Read from the beginning. Blank lines are no rows; a row with too few or too many cells has a defect."""
        names, width, has_nameless = self._names, len(self._names), "" in self._names
        number = 0
        line = 1
        with self._content.lines() as lines:
            reader = csv.reader(lines.read(), delimiter=self._delimiter, strict=True)
            try:
                next((cells for cells in reader if not _is_blank(cells)), None)
                line, lines.held = reader.line_num + 1, 0
                for cells in reader:
                    lines.held = 0
                    if len(cells) == width and (width > 1 or not _is_blank(cells)):
                        number += 1
                        columns = dict(zip(names, cells))  # noqa: B905 - just compared, and a third faster
                        if has_nameless:
                            del columns[""]
                        yield Row(number, columns, line)
                    elif not _is_blank(cells):
                        number += 1
                        yield Row(number, {}, line, f"{_count(len(cells), 'cell')} under {_count(width, 'column')}")
                    line = reader.line_num + 1
            except csv.Error as error:
                raise _broken(self.name, line, reader.line_num, error) from error
        if number == 0:
            raise _no_recipients(self.name)


def _find_delimiter(lines: Lines, name: str, needed: tuple[str, ...]) -> tuple[str, list[str]]:
    headers: dict[str, list[str]] = {}
    broken: csv.Error | None = None
    for delimiter in DELIMITERS:
        try:
            header = _header(lines, delimiter, name)
        except csv.Error as error:
            broken = error
        else:
            # Where two delimiters cut the header alike, it has one column, and the first of them will do.
            if header not in headers.values():
                headers[delimiter] = header
    if broken is not None and not headers:
        raise _broken(name, 1, 1, broken)
    fitting = [delimiter for delimiter, header in headers.items() if not missing(header, needed)]
    if len(fitting) > 1:
        raise SourceError(
            "E202",
            f"{name} may be separated by {_quote(fitting[0])} or by {_quote(fitting[1])}",
            where=f"{name}:1",
            why="Its header has the columns needed either way.",
            hint=f"--delimiter {_quote(fitting[0])}",
        )
    if not fitting:
        raise _no_column(name, max(headers.values(), key=len), needed)
    return fitting[0], headers[fitting[0]]


def _header_under(delimiter: str, lines: Lines, name: str, needed: tuple[str, ...]) -> list[str]:
    try:
        header = _header(lines, delimiter, name)
    except csv.Error as error:
        raise _broken(name, 1, 1, error) from error
    if missing(header, needed):
        raise _no_column(name, header, needed)
    return header


def _header(lines: Lines, delimiter: str, name: str) -> list[str]:
    """The first row that is not blank, as this delimiter cuts it."""
    for cells in csv.reader(lines.peek(), delimiter=delimiter, strict=True):
        if not _is_blank(cells):
            return cells
    raise _no_recipients(name)


def _no_column(name: str, header: list[str], needed: tuple[str, ...]) -> SourceError:
    """E202 where one column with a separator inside was read as one name, else E203."""
    separator = re.search(r"[^\w\s.-]|\t", header[0])
    if len(header) == 1 and separator is not None:
        return SourceError(
            "E202",
            f'{name} has one column "{header[0][:80]}" – is it separated by {_quote(separator[0])}?',
            where=f"{name}:1",
            hint=f"--delimiter {_quote(separator[0])}",
        )
    return no_column(name, header, needed, f"{name}:1")


def _broken(name: str, begun: int, reached: int, error: csv.Error) -> SourceError:
    """The csv module's complaint with the line that has to be mended: where the row began, and thus the lost quote."""
    if "field larger" in str(error):
        return damage(name, begun, f"a cell of more than {MAX_FIELD} characters", why="A quote may be missing.")
    if "unexpected end of data" in str(error):
        return damage(name, begun, "a quote opens here and is never closed", why=f"The file ends in line {reached}.")
    if reached > begun:
        return damage(name, begun, "a quote opens here and is not closed properly", why=f"line {reached}: {error}")
    return damage(name, begun, f"a broken quote: {error}", hint='inside quotes a " is written twice: ""')


def _no_recipients(name: str) -> SourceError:
    return SourceError("E207", f"{name} has no recipients", hint="a header line and one line for each recipient")


def _checked(delimiter: str) -> str:
    if delimiter in _TAB_NAMES:
        return "\t"
    if len(delimiter) != 1 or delimiter.isalnum() or delimiter in '"\r\n\0':
        raise UsageError("E101", f"{delimiter!r} cannot separate cells", hint='--delimiter ";"   or , or | or tab')
    return delimiter


def _is_blank(cells: list[str]) -> bool:
    return not cells or (len(cells) == 1 and not cells[0].strip())


def _quote(delimiter: str) -> str:
    return f'"{_SHOWN.get(delimiter, delimiter)}"'


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
