"""Warnings about rows that were left out: counted, with row numbers, one for each kind."""

from collections.abc import Iterator

from mailer.flow.problems import Examples, shorten
from mailer.flow.submission import Counts
from mailer.vocabulary.errors import SourceError

SHOWN = 5


def warnings_of(source: str, counts: Counts, examples: Examples, *, lacks_text: bool = False) -> Iterator[SourceError]:
    """E211 for invalid rows, W210 for duplicates, W302 for what was not escaped, W303 for messages without a text part.

    Nothing when there are none.
    """
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
            f"{source}: {_rows(counts.duplicate)} left out as duplicate – the first with an address is kept",
            where=shown,
        )

    for column, count in examples.unescaped.most_common(1):
        yield SourceError(
            "W302",
            f"{source}: {column} has < or & and went into an HTML part as it is ({count} messages)",
            why="A single-file template is not escaped by itself.",
            hint=f"{{{{ {column} | e }}}}",
        )
    if lacks_text:
        yield SourceError(
            "W303",
            "the messages have no text part",
            why="Some people read text only, and filters look for it.",
            hint="add body.txt.j2, or pip install '.[text]', which makes one from the HTML",
        )


def _rows(count: int) -> str:
    return "1 row is" if count == 1 else f"{count} rows are"
