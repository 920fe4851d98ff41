"""From the words in `recipients = "…"` to a source: the format by its suffix, `-` for standard input."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from mailer.backends.sources.content import Content, FileContent, StandardInput, unreadable
from mailer.backends.sources.csv_file import CsvFile
from mailer.backends.sources.json_lines import JsonLines
from mailer.interfaces.source import RecipientSource

Format = Literal["csv", "jsonl"]

_WORKBOOK = re.compile(r"(?P<file>.+?\.(?:xlsx|ods))(?:#(?P<sheet>.+))?", re.IGNORECASE | re.DOTALL)
_PYTHON = re.compile(r"(?P<file>.+\.py):(?P<name>[^\W\d]\w*)", re.DOTALL)
_FORMATS: dict[str, Format] = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


def open_source(
    spec: str | Path,
    *,
    base: Path,
    delimiter: str | None = None,
    format: Format | None = None,  # noqa: A002 - the flag is called --recipients-format
    needed: Iterable[str] = (),
) -> RecipientSource:
    """Open the list that `spec` names: a file relative to `base`, or `-` for standard input (CSV by default).

    `people.xlsx#Sheet2` is a sheet of a workbook, `campaign.py:rows` a name in a Python file. `needed` are the columns
    that a header must have, the one with the addresses among them (`email` when none are named); the delimiter is found
    by them, or given.

    Raises:
        SourceError: E201 not a readable file of a known format, and what a source finds wrong with its header.
        UsageError: E101, `delimiter` is not one character.
    """
    name = str(spec)
    columns = tuple(needed) or ("email",)
    if format is None and (python := _PYTHON.fullmatch(name)) is not None:
        from mailer.backends.sources.python_rows import PythonRows

        return PythonRows(base / python["file"], python["name"], name=name)
    if format is None and (workbook := _WORKBOOK.fullmatch(name)) is not None:
        from mailer.backends.sources.workbook import Workbook

        content = FileContent(base / workbook["file"], workbook["file"])
        return Workbook(content, sheet=workbook["sheet"], needed=columns)
    return _open_text(name, base, format, delimiter, columns)


def _open_text(
    name: str, base: Path, format_: Format | None, delimiter: str | None, columns: tuple[str, ...]
) -> RecipientSource:
    content: Content = StandardInput() if name == "-" else FileContent(base / name, name)
    found = format_ or ("csv" if name == "-" else _FORMATS.get(Path(name).suffix.lower()))
    if found is None:
        raise unreadable(
            name,
            f"Its name ends in none of {', '.join((*_FORMATS, '.xlsx', '.ods'))}.",
            hint="--recipients-format csv   or jsonl, or save it as CSV",
        )
    if found == "jsonl":
        return JsonLines(content)
    return CsvFile(content, delimiter=delimiter, needed=columns)
