"""Choosing rows: which of a source somebody asks for, as ranges of row numbers with both ends."""

import sys
from collections.abc import Callable
from itertools import pairwise

from mailer.vocabulary.send_options import SendOptions

Ranges = tuple[tuple[int, int], ...]
LAST = sys.maxsize
"""The end of a range that goes to the end of the source."""


def chosen_rows(options: SendOptions, count: Callable[[], int]) -> Ranges | None:
    """The rows that the options choose; None for all. `count` reads the source, and only a sample needs it.

    `sample` rows lie evenly between the offset and the end; with a `limit`, between the offset and the limit.
    """
    if not options.chooses:
        return None
    first = options.offset + 1
    last = options.offset + options.limit if options.limit is not None else LAST
    if options.sample is None:
        return ((first, last),)
    there = min(last, count()) - options.offset
    wanted = min(options.sample, max(there, 0))
    return tuple((row, row) for row in (first + index * there // wanted for index in range(wanted)))


def union(some: Ranges, others: Ranges) -> Ranges:
    """The rows that are in either, in order, neighbours joined."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted((*some, *others)):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = joined[-1][0], max(joined[-1][1], last)
        else:
            joined.append((first, last))
    return tuple(joined)


def covers(some: Ranges | None, others: Ranges | None) -> bool:
    """True when every row of `others` is in `some`; None is all rows."""
    if some is None:
        return True
    return others is not None and union(some, others) == union(some, ())


class Chosen:
    """Asks row by row, in rising order, whether it is chosen, in constant time."""

    def __init__(self, ranges: Ranges | None) -> None:
        self._ranges = ((1, LAST),) if ranges is None else union(ranges, ())
        assert all(before[1] < after[0] for before, after in pairwise(self._ranges))  # noqa: S101 (what union promises)
        self._place = 0

    def __contains__(self, row: int) -> bool:
        while not self.is_over(row) and row > self._ranges[self._place][1]:
            self._place += 1
        return not self.is_over(row) and row >= self._ranges[self._place][0]

    def is_over(self, row: int) -> bool:
        """True when neither this row nor any after it is chosen."""
        return not self._ranges or row > self._ranges[-1][1]
