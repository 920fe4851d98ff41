"""Reports as files: readable by their owner only, and written whole or not at all."""

import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from mailer.reports.csv_export import CsvExport
from mailer.reports.document import report_json
from mailer.reports.html import HtmlPage
from mailer.reports.json_lines import JsonLines
from mailer.reports.listing import Listing, Row
from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.line import Line
from mailer.vocabulary.report import Report

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Format(StrEnum):
    """The forms a report is saved in; the value is also the file's extension."""

    HTML = "html"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"


def save(
    report: Report,
    rows: Iterable[Row],
    folder: str | Path,
    formats: Iterable[str] = (Format.HTML, Format.CSV, Format.JSON),
    *,
    next_try: datetime | None = None,
) -> tuple[Path, ...]:
    """Write `report.html`, `report.csv` and so on into a folder, in one pass over all rows; return their paths.

    The folder is made if need be. `next_try` is when the first deferred recipient is tried again. Raises `UsageError`
    E112 when a file cannot be written; what stood there before then still does.
    """
    with saving(report, folder, formats, next_try=next_try) as (paths, add):
        for row in rows:
            add(row)
    return paths


@contextmanager
def saving(
    report: Report, folder: str | Path, formats: Iterable[str], *, next_try: datetime | None = None
) -> Iterator[tuple[tuple[Path, ...], Callable[[Row], None]]]:
    """`save` for rows that arrive in another way: the paths, and a function that takes each row.

    The files are there when the block has ended, and not at all when it raised.
    """
    wanted = tuple(map(_format, formats))
    folder = Path(folder)
    with _disk_trouble(folder):
        folder.mkdir(parents=True, exist_ok=True)
    paths = tuple(folder / f"report.{name}" for name in wanted)
    with ExitStack() as files:
        streams = [files.enter_context(whole(path)) for path in paths]
        listings = [_begin(name, report, stream, next_try) for name, stream in zip(wanted, streams, strict=True)]

        def add(row: Row) -> None:
            for listing in listings:
                listing.add(row)

        yield paths, add
        for listing in listings:
            listing.end()


@contextmanager
def whole(path: str | Path) -> Iterator[TextIO]:
    """A text file that takes its name when the block ends, complete and on the disk, and vanishes when it raises.

    UTF-8 with line ends as written, mode 0600. Raises `UsageError` E112 when the disk is full, the folder is gone or
    the name belongs to something that is no file.
    """
    path = Path(path)
    with _disk_trouble(path):
        if path.exists() and not path.is_file():
            raise OSError("something that is not a file has this name")
        # In the same folder, since only within one file system a rename is a single step.
        descriptor, temporary = tempfile.mkstemp(prefix=".report-", dir=path.parent)
    try:
        with _text(descriptor, path) as stream:
            yield stream
            stream.flush()
            with _disk_trouble(path):
                os.fsync(descriptor)
        with _disk_trouble(path):
            os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


class _Disk(io.FileIO):
    """A file whose failures name the path they are about.

    Translated here and not around the block of `whole`: a lost connection of whoever brings the rows is an OSError too.
    """

    def __init__(self, descriptor: int, path: Path) -> None:
        super().__init__(descriptor, "w")
        self._path = path

    def write(self, data: "ReadableBuffer", /) -> int:
        with _disk_trouble(self._path):
            return super().write(data)


def _text(descriptor: int, path: Path) -> TextIO:
    # What cannot be encoded is shown escaped: one damaged cell must not cost the report.
    binary = io.BufferedWriter(_Disk(descriptor, path), 1 << 16)
    return io.TextIOWrapper(binary, encoding="utf-8", errors="backslashreplace", newline="")


class _Document:
    """The JSON document among the listings: it takes no rows."""

    def __init__(self, report: Report, stream: TextIO) -> None:
        stream.write(f"{report_json(report)}\n")

    def add(self, row: Row) -> None:
        """Rows are not part of this document."""

    def extend(self, lines: Sequence[Line]) -> None:
        """Nor are many of them."""

    def end(self) -> None:
        """It was complete from the beginning."""


def _begin(name: Format, report: Report, stream: TextIO, next_try: datetime | None) -> Listing:
    match name:
        case Format.HTML:
            return HtmlPage(report, stream, next_try=next_try)
        case Format.CSV:
            return CsvExport(stream)
        case Format.JSON:
            return _Document(report, stream)
        case Format.JSONL:
            return JsonLines(stream)


def _format(name: str) -> Format:
    try:
        return Format(name)
    except ValueError:
        raise UsageError(
            "E101",
            f"there is no report format {name!r}",
            hint=f"one of: {', '.join(Format)}",
            safe="nothing was written",
        ) from None


@contextmanager
def _disk_trouble(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            "E112",
            f"{path} could not be written: {error.strerror or error}",
            where=str(path),
            hint="make room or name another place, then run the same command again",
            safe="no half file is left, and what had this name before is unchanged",
            cause=repr(error),
        ) from error
