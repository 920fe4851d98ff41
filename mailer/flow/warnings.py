"""Warnings about rows that were left out: counted, with row numbers, one for each kind."""

from collections.abc import Iterator

from mailer.flow.problems import Examples, shorten
from mailer.flow.submission import Counts
from mailer.vocabulary.errors import SourceError

SHOWN = 5


def warnings_of(source: str, counts: Counts, examples: Examples) -> Iterator[SourceError]:
    """E211 for invalid rows, W210 for duplicates; nothing when there are none."""
    if examples.invalid:
        first = examples.invalid[0]
        rows = ", ".join(f"row {row.row}: {row.reason}" for row in examples.invalid[1:SHOWN])
        yield SourceError(
            "E211",
            f'{source} row {first.row}: "{first.email[:80]}" cannot be written to: {first.reason}',
            why=rows or None,
            safe=f"{_rows(counts.invalid)} left out as invalid.",
        )
    if examples.duplicate:
        shown = "\n".join(f"row {row.row}  {shorten(row.email)}" for row in examples.duplicate[:SHOWN])
        yield SourceError(
            "W210",
            f"{source}: {_rows(counts.duplicate)} left out as duplicate - the first with an address is kept",
            where=shown,
        )


def _rows(count: int) -> str:
    return "1 row is" if count == 1 else f"{count} rows are"
