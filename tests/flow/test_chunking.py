"""Chunks: small ones first, so that every worker has some; larger ones when there are plenty."""

from collections.abc import Sequence
from itertools import chain, pairwise

import pytest

from mailer.backends.sources.iterable import IterableSource
from mailer.flow.chunking import size_after
from mailer.flow.counts import Counts
from mailer.flow.passes import Passes
from mailer.flow.storing import Storing
from mailer.vocabulary.campaign import Campaign
from mailer.vocabulary.chunk import Draft
from mailer.vocabulary.settings import QueueSettings
from tests.ledger.campaigns import proposal


@pytest.mark.parametrize(
    ("rows", "most", "size"),
    [(0, 300, 100), (9_999, 300, 100), (20_000, 300, 200), (1_000_000, 300, 300), (0, 10, 10), (50_000, 500, 500)],
)
def test_a_chunk_is_a_hundredth_of_what_came_before_it(rows: int, most: int, size: int) -> None:
    assert size_after(rows, most) == size


def test_a_long_list_is_read_once_and_in_growing_batches() -> None:
    people = [{"email": f"r{number}@x.test"} for number in range(60_000)]
    batches = list(Passes(IterableSource(people), 300).batches(None))
    assert [row.number for row in chain(*batches)] == list(range(1, 60_001))
    sizes = [len(batch) for batch in batches]
    assert (sizes[0], max(sizes)) == (100, 300)
    assert all(one <= other for one, other in pairwise(sizes[:-1]))


class Shelf:
    """What stands for a ledger: it takes every chunk, and remembers how large it was."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    async def accept(self, _campaign: Campaign, drafts: Sequence[Draft]) -> frozenset[int]:
        self.sizes.append(len(drafts))
        return frozenset()


async def test_rows_with_copies_go_in_small_chunks_as_well() -> None:
    shelf, counts = Shelf(), Counts()
    drafts = [Draft(row=row, email=f"{word}{row}@x.test", content=b"x") for row in range(100) for word in ("to", "cc")]
    storing = Storing(shelf, QueueSettings())  # type: ignore[arg-type]  # a fake with all that is used of a ledger
    assert await storing.store(proposal(), drafts, counts)
    assert (shelf.sizes, counts.new) == ([100, 100], 200)
