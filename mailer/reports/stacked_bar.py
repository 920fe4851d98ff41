"""The states of a campaign as the segments of one bar."""

from dataclasses import dataclass

from mailer.reports.summary import STATES, count_of
from mailer.vocabulary.recipient import State
from mailer.vocabulary.totals import Totals

LENGTH = 1000.0
"""Units of a whole bar, with the gap after its last segment."""

_THINNEST = 9.0
"""Units that a single recipient among a million still gets: what went wrong must not be invisible."""

GAP = 2.5
"""Units of a segment that stay empty, so that neighbours are told apart without colour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One state's part of the bar: where it begins and how long it is, in units of `LENGTH`."""

    state: State
    begin: float
    length: float


def segments(totals: Totals) -> tuple[Segment, ...]:
    """A segment for every state that a recipient is in, in the order of `STATES`; with their gaps they fill the bar."""
    counts = {state: count for state in STATES if (count := count_of(state, totals))}
    whole = sum(counts.values())
    lengths = {state: max(_THINNEST, LENGTH * count / whole) for state, count in counts.items()}
    if counts:
        # The longest pays for what the thin ones were given; with ten states it always can.
        lengths[max(lengths, key=lengths.__getitem__)] -= sum(lengths.values()) - LENGTH
    begin = 0.0
    bar = []
    for state, length in lengths.items():
        bar.append(Segment(state=state, begin=round(begin, 2), length=round(length - GAP, 2)))
        begin += length
    return tuple(bar)
