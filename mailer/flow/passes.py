"""Passes over a source: the rows that were asked for, in batches, as often as they are needed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from mailer.flow.chunking import size_after
from mailer.interfaces.source import RecipientSource, Row
from mailer.policy.choosing import Chosen, Ranges
from mailer.vocabulary.errors import SourceError, UsageError

MOST_KEPT = 100_000
"""Rows of a source that can be read only once that are kept, where they are checked before they are stored."""


@dataclass(slots=True)
class Passes:
    """Reads a source in batches of `most` rows at most, for a chunk each (see `flow.chunking`).

    With `keep`, the first pass keeps its rows for the next.
    """

    source: RecipientSource
    most: int
    keeps: bool = False
    _kept: list[Row] | None = None

    def keep(self) -> None:
        """From now on: what the next pass reads need not be read again."""
        self.keeps, self._kept = True, None

    def batches(self, ranges: Ranges | None) -> Iterator[list[Row]]:
        """The chosen rows. Raises `SourceError` E208 when too many of them would have to be kept."""
        if self._kept is not None:
            yield from _batched(iter(self._kept), self.most)
            return
        kept: list[Row] = []
        for batch in _batched(choose(self.source.rows(), ranges), self.most):
            if self.keeps:
                kept += batch
                if len(kept) > MOST_KEPT:
                    raise self.too_large()
            yield batch
        self._kept = kept if self.keeps else None

    def too_large(self) -> SourceError:
        """E208: it would have to be read twice, and cannot."""
        return SourceError(
            "E208",
            f"{self.source.name} can be read only once, and is too large to be checked before it is sent",
            why="What is larger than queue.high_water is read twice: once to check it, once to store it.",
            hint="--stream (in a program: stream=True) sends while it is read, or put the list into a file",
            safe="Nothing was accepted and nothing was sent.",
        )


def choose(rows: Iterable[Row], ranges: Ranges | None) -> Iterator[Row]:
    """Those of the rows that are in the ranges; reading ends where nothing follows."""
    chosen = Chosen(ranges)
    for row in rows:
        if chosen.is_over(row.number):
            return
        if row.number in chosen:
            yield row


def count_rows(source: RecipientSource) -> int:
    """The rows of a source, which is read once more for it. Raises `UsageError` E101 where it cannot be."""
    if not source.is_repeatable:
        raise UsageError(
            "E101",
            "a sample needs a list whose length is known",
            where=source.name,
            hint="sample from a file or a Python list, or use --limit (in a program: limit=)",
        )
    return sum(1 for _ in source.rows())


def _batched(rows: Iterator[Row], most: int) -> Iterator[list[Row]]:
    read = 0
    while batch := list(islice(rows, size_after(read, most))):
        yield batch
        read += len(batch)
