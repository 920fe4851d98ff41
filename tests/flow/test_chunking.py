"""Chunks: small ones first, so that every worker has some; larger ones when there are plenty."""

from itertools import chain, pairwise

import pytest

from mailer.backends.sources.iterable import IterableSource
from mailer.flow.chunking import size_after
from mailer.flow.passes import Passes


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
