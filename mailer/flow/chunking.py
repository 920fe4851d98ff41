"""Chunking: drafts in chunks for the ledger, in which those of one row stay together."""

from collections.abc import Iterator, Sequence

from mailer.vocabulary.chunk import Draft

FIRST = 100
"""Rows of the first chunks: a short list has some for every worker."""
ENOUGH = 100
"""Chunks that are enough for all workers: what comes after them goes in larger ones, for each costs a worker some
milliseconds however many it holds."""


def size_after(rows: int, most: int) -> int:
    """Rows of the chunk after so many rows: a hundredth of them, `FIRST` at least and `most` at most."""
    return min(most, max(FIRST, rows // ENOUGH))


def chunks_of(drafts: Sequence[Draft], size: int) -> Iterator[list[Draft]]:
    """Chunks of about this size; the drafts of one row stay together."""
    chunk: list[Draft] = []
    for draft in drafts:
        if len(chunk) >= size and draft.row != chunk[-1].row:
            yield chunk
            chunk = []
        chunk.append(draft)
    if chunk:
        yield chunk


def known_of(drafts: Sequence[Draft], present: frozenset[int]) -> frozenset[int]:
    """The places that need not be stored: who is there, and the copies of a row whose first recipient is there."""
    rows: set[int] = set()
    known = set(present)
    for place, draft in enumerate(drafts):
        is_first = place == 0 or drafts[place - 1].row != draft.row
        if is_first and place in present:
            rows.add(draft.row)
        if draft.row in rows:
            known.add(place)
    return frozenset(known)
