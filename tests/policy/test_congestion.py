"""How much may be under way over a route: half as much when the relay asks for less, and slowly more again."""

from hypothesis import given
from hypothesis import strategies as st

from mailer.policy.congestion import PATIENCE, Congestion

LIMITS = st.integers(1, 200)
STEPS = st.lists(st.sampled_from(["slowed", "old reply", "down", "good"]), max_size=200)


def after(congestion: Congestion, step: str) -> Congestion:
    match step:
        case "slowed":
            return congestion.slowed(congestion.cuts)
        case "old reply":
            return congestion.slowed(congestion.cuts - 1)
        case "down":
            return congestion.restarted()
    return congestion.succeeded(congestion.cuts)


@given(LIMITS, STEPS)
def test_the_width_is_never_below_one_nor_above_the_limit(limit: int, steps: list[str]) -> None:
    """So nobody waits for ever, and nobody opens more than he may."""
    congestion = Congestion.none(limit)
    for step in steps:
        congestion = after(congestion, step)
        assert 1 <= congestion.width <= limit
        assert congestion.is_narrow == (congestion.width < limit)


@given(LIMITS, STEPS)
def test_whatever_happened_good_messages_alone_bring_the_whole_width_back(limit: int, steps: list[str]) -> None:
    """After at most 1 + 2 + … of them, and one more time of patience."""
    congestion = Congestion.none(limit)
    for step in steps:
        congestion = after(congestion, step)
    for _ in range(limit * (limit + 1) // 2 + PATIENCE * limit):
        congestion = congestion.succeeded(congestion.cuts)
    assert congestion.width == limit


@given(LIMITS, STEPS)
def test_one_wish_for_less_halves_and_the_same_wish_again_changes_nothing(limit: int, steps: list[str]) -> None:
    """Five messages that are throttled together were begun together."""
    congestion = Congestion.none(limit)
    for step in steps:
        congestion = after(congestion, step)
    begun = congestion.cuts
    slowed = congestion.slowed(begun)
    assert slowed.width == max(1, congestion.width // 2)
    assert slowed.slowed(begun) == slowed


def widths(congestion: Congestion, messages: int) -> list[int]:
    found = []
    for _ in range(messages):
        congestion = congestion.succeeded(congestion.cuts)
        found.append(congestion.width)
    return found


def test_after_a_wish_for_less_one_comes_back_for_each_width_of_good_messages() -> None:
    congestion = Congestion.none(9).slowed(0)
    assert (congestion.width, widths(congestion, 9)) == (4, [4, 4, 4, 5, 5, 5, 5, 5, 6])


def test_what_was_too_much_the_last_time_is_tried_again_only_after_many() -> None:
    """For it may cost a rest of the whole route; what lies beyond it does not wait as long."""
    congestion = Congestion.none(5).slowed(0).slowed(1)
    assert (congestion.width, congestion.too_much) == (1, 2)
    assert widths(congestion, 22) == [*[1] * 19, 2, 2, 3]


def test_after_an_outage_it_begins_at_one_and_doubles() -> None:
    congestion = Congestion.none(10).restarted()
    assert (congestion.width, widths(congestion, 15)) == (1, [2, 2, *[4] * 4, *[8] * 8, 10][:15])


def test_a_wish_for_less_ends_the_doubling() -> None:
    returning = Congestion.none(10).restarted()
    while returning.width < 8:
        returning = returning.succeeded(1)
    assert widths(returning.slowed(1), 5) == [4, 4, 4, 5, 5]


def test_while_nothing_is_slow_nothing_changes() -> None:
    """Not even the object: it is looked at for every message."""
    congestion = Congestion.none(3)
    assert congestion.succeeded(0) is congestion


def test_what_was_begun_before_it_got_narrow_makes_it_no_wider() -> None:
    """More was under way then."""
    slowed = Congestion.none(4).slowed(0)
    assert slowed.succeeded(0) is slowed


def test_a_limit_below_one_is_one() -> None:
    assert Congestion.none(0).width == 1
