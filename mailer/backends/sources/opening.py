"""From the words in `recipients = "…"` to a source: the format by its suffix, `-` for standard input."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from mailer.backends.sources.content import Content, FileContent, StandardInput, unreadable
from mailer.backends.sources.csv_file import CsvFile
from mailer.backends.sources.json_lines import JsonLines
from mailer.interfaces.source import RecipientSource

Format = Literal["csv", "jsonl"]

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

    `needed` are the columns the header of a CSV file must have, the one with the addresses among them (`email` when
    none are named); the delimiter is found by them, or given.

    Raises:
        SourceError: E201 not a readable file of a known format, and what `CsvFile` finds wrong with the header.
        UsageError: E101, `delimiter` is not one character.
    """
    name = str(spec)
    content: Content = StandardInput() if name == "-" else FileContent(base / name, name)
    found = format or ("csv" if name == "-" else _FORMATS.get(Path(name).suffix.lower()))
    if found is None:
        raise unreadable(
            name,
            f"Its name ends in none of {', '.join(_FORMATS)}.",
            hint="--recipients-format csv   or jsonl, or save it as CSV",
        )
    if found == "jsonl":
        return JsonLines(content)
    return CsvFile(content, delimiter=delimiter, needed=tuple(needed) or ("email",))
