"""The size of a workbook when it is unpacked, found out before a reader gives memory to it.

A sheet is held in memory as a rectangle, so two cells in opposite corners, or one that says it is repeated, can take as
much of it as all the cells between them.
"""

import re
import zipfile
import zlib
from functools import lru_cache
from typing import IO
from xml.parsers import expat

MAX_UNPACKED = 256 * 2**20
"""Bytes of all parts of a workbook together."""
MAX_CELLS = 5_000_000
"""Cells of one sheet, counted as the rectangle around those with a value: about 160 MB."""

_NO_XML = (expat.ExpatError, LookupError, ValueError)
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, *_NO_XML, NotImplementedError, RuntimeError)
"""What `refuse_large` raises where a part is damaged, locked with a password, or packed in an unknown way."""

_BLOCK = 2**16
_CELLS = tuple(name.encode(code) for name in ("sheetData", "table-cell") for code in ("utf-8", "utf-16-le"))
_LONGEST_MARK = 40
_PLACE = re.compile(r"([A-Za-z]{1,3})(\d{1,9})")


class TooLargeError(Exception):
    """It says what there is too much of."""


class BinaryError(Exception):
    """The workbook is one in Excel's binary format, whose sheets nobody has measured."""


def refuse_large(stream: IO[bytes]) -> None:
    """Look through a workbook from the beginning of `stream`, and leave it at some place.

    Raises `TooLargeError`, `BinaryError`, and one of `DAMAGE` where it cannot be read.
    """
    with zipfile.ZipFile(stream) as archive:
        parts = archive.infolist()
        if (unpacked := sum(part.file_size for part in parts)) > MAX_UNPACKED:
            raise TooLargeError(f"{unpacked / 1e6:.0f} MB when unpacked")
        if any(part.filename.lower().endswith("workbook.bin") for part in parts):
            raise BinaryError
        for part in parts:
            # A workbook names its sheets itself, so nothing follows from how a part is called.
            try:
                with archive.open(part) as xml:
                    _Extent().read(xml)
            except _NO_XML:
                # Images are none, and what belongs to a drawing often is HTML rather than XML.
                if part.filename.endswith(".xml") or _has_cells(archive, part):
                    raise


def _has_cells(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> bool:
    """True where a reader that forgives more than ours could find a sheet in a part."""
    last = b""
    with archive.open(part) as content:
        while block := content.read(_BLOCK):
            if any(cells in last + block for cells in _CELLS):
                return True
            last = block[-_LONGEST_MARK:]
    return False


class _Extent:
    """The rectangle around the cells of a sheet, in either format, as far as it has been read."""

    def __init__(self) -> None:
        self._row = self._column = self._rows = self._columns = 0
        self._repeated = 1

    def read(self, xml: IO[bytes]) -> None:
        # A million cells go through here: names are compared without looking at their namespaces.
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        while block := xml.read(_BLOCK):
            parser.Parse(block)
        parser.Parse(b"", True)

    def _start(self, element: str, attributes: dict[str, str]) -> None:
        name = element.rpartition(":")[2] if ":" in element else element
        if name == "c":
            self._xlsx_cell(attributes.get("r", ""))
            return
        match name:
            case "row":
                self._row = _number(attributes.get("r"), self._row + 1)
                self._column = 0
            case "table":
                self._row = self._column = self._rows = self._columns = 0
            case "table-row":
                self._repeated = _repeated(attributes, "rows")
                self._row += self._repeated
                self._column = 0
            case "table-cell" | "covered-table-cell":
                self._column += _repeated(attributes, "columns")
                if any(name.endswith("value-type") for name in attributes):
                    self._reach(self._row, self._column)

    def _xlsx_cell(self, place: str) -> None:
        self._column += 1
        if (found := _PLACE.fullmatch(place)) is not None:
            self._row, self._column = int(found[2]), _column(found[1])
        self._reach(self._row, self._column)

    def _reach(self, row: int, column: int) -> None:
        if row <= self._rows and column <= self._columns:
            return
        self._rows, self._columns = max(self._rows, row), max(self._columns, column)
        if self._rows * self._columns > MAX_CELLS:
            raise TooLargeError(f"a sheet of {self._rows} rows and {self._columns} columns")


@lru_cache(maxsize=1000)
def _column(letters: str) -> int:
    """The number of column `A`, `B`, … `XFD`, from 1."""
    number = 0
    for letter in letters.upper():
        number = 26 * number + ord(letter) - ord("A") + 1
    return number


def _repeated(attributes: dict[str, str], what: str) -> int:
    name = next((name for name in attributes if name.endswith(f"number-{what}-repeated")), "")
    return _number(attributes.get(name), 1)


def _number(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else default
