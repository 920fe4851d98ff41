"""Which rows are chosen."""

from hypothesis import given
from hypothesis import strategies as st

from mailer.policy.choosing import Chosen, chosen_rows, covers, union
from mailer.vocabulary.send_options import SendOptions

numbers = st.integers(1, 60)
ranges = st.lists(st.tuples(numbers, numbers).map(lambda pair: (min(pair), max(pair))), max_size=6).map(tuple)


def rows_of(some: tuple[tuple[int, int], ...]) -> set[int]:
    return {row for first, last in some for row in range(first, last + 1)}


def choose(count: int, options: SendOptions) -> list[int]:
    chosen = Chosen(chosen_rows(options, lambda: count))
    return [row for row in range(1, count + 1) if row in chosen]


def test_all_rows_unless_somebody_chooses() -> None:
    """No option, no range, and the source is not counted."""
    assert chosen_rows(SendOptions(), lambda: 1 // 0) is None


def test_offset_and_limit_choose_a_window() -> None:
    """None before the offset, at most the limit, to the end without one."""
    assert choose(9, SendOptions(offset=2, limit=3)) == [3, 4, 5]
    assert choose(9, SendOptions(offset=7)) == [8, 9]
    assert choose(9, SendOptions(limit=20)) == list(range(1, 10))
    assert choose(9, SendOptions(offset=20)) == []


def test_a_sample_is_spread_over_the_list() -> None:
    """First row, last part, equal distances."""
    assert choose(10, SendOptions(sample=5)) == [1, 3, 5, 7, 9]
    assert choose(10, SendOptions(sample=20)) == list(range(1, 11))
    assert choose(100, SendOptions(offset=50, sample=2)) == [51, 76]


@given(st.integers(0, 200), st.integers(1, 50), st.integers(0, 40))
def test_a_sample_has_as_many_rows_as_asked_for_if_there_are(count: int, sample: int, offset: int) -> None:
    """Exactly so many, none twice, none before the offset."""
    rows = choose(count, SendOptions(sample=sample, offset=offset))
    assert len(set(rows)) == len(rows) == min(sample, max(count - offset, 0))
    assert all(row > offset for row in rows)


@given(ranges, ranges)
def test_a_union_has_the_rows_of_both(some: tuple[tuple[int, int], ...], others: tuple[tuple[int, int], ...]) -> None:
    """No more, no less, and in a form that compares."""
    joined = union(some, others)
    assert rows_of(joined) == rows_of(some) | rows_of(others)
    assert joined == union(others, some) == union(joined, ())
    assert sum(last - first + 1 for first, last in joined) == len(rows_of(joined))


@given(ranges, ranges)
def test_covers_is_containment(some: tuple[tuple[int, int], ...], others: tuple[tuple[int, int], ...]) -> None:
    """As sets have it; all rows cover everything, and only all rows cover all."""
    assert covers(some, others) == (rows_of(others) <= rows_of(some))
    assert covers(None, some)
    assert covers(None, None)
    assert not covers(some, None)


@given(ranges)
def test_rows_are_found_in_rising_order(some: tuple[tuple[int, int], ...]) -> None:
    """Row by row the same as the set, and it is known when nothing follows."""
    chosen = Chosen(some)
    for row in range(1, 70):
        assert chosen.is_over(row) == (not any(other >= row for other in rows_of(some)))
        assert (row in chosen) == (row in rows_of(some))
