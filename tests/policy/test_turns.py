"""Turns: whoever waits for a place is somebody's turn soon, however much others have to do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.policy.turns import TURN_S, Turns


def turns_of(held: str, waiting: str = "") -> Turns[int]:
    """`held` and `waiting` name a party a letter; who waits is numbered from 0."""
    turns: Turns[int] = Turns()
    for party in held:
        turns.take(party)
    for number, party in enumerate(waiting):
        turns.wait(party, number)
    return turns


def test_a_place_goes_to_the_party_that_has_the_fewest() -> None:
    assert turns_of("aaaab", "aab").next() == ("b", 2)
    assert turns_of("aaaab", "aabc").next() == ("c", 3)


def test_within_a_party_and_among_equal_ones_whoever_came_first_is_the_first() -> None:
    turns = turns_of("", "abab")
    assert [turns.next() for _ in range(4)] == [("a", 0), ("a", 2), ("b", 1), ("b", 3)]
    turns = turns_of("", "abab")
    order = []
    while turns:
        party, number = turns.next()
        turns.take(party)
        order.append(number)
    assert order == [0, 1, 2, 3]


def test_a_place_that_was_given_back_goes_to_another_party_that_has_none() -> None:
    turns = turns_of("a", "ab")
    turns.give_back("a")
    turns.wait("a", 2)
    assert turns.next() == ("b", 1)
    assert turns.next() == ("a", 0)


def test_whoever_has_left_is_nobodys_turn() -> None:
    turns = turns_of("", "aab")
    turns.leave("a", 0)
    turns.leave("b", 2)
    turns.leave("b", 2)
    assert len(turns) == 1
    assert turns.next() == ("a", 1)
    with pytest.raises(ValueError, match="empty"):
        turns.next()


@pytest.mark.parametrize(
    ("held", "waiting", "wanted"),
    [
        ("aaaa", "", ""),
        ("aaaa", "aa", ""),
        ("aaaa", "b", "a"),
        ("aaaa", "ab", "a"),
        ("aaab", "b", "a"),
        ("aabb", "ab", ""),
        ("aaabb", "ab", ""),
        ("aaabb", "abc", "ab"),
        ("abc", "d", ""),
    ],
)
def test_a_place_is_wanted_where_another_party_would_still_have_no_more(held: str, waiting: str, wanted: str) -> None:
    turns = turns_of(held, waiting)
    assert "".join(party for party in "abc" if turns.is_wanted(party, 0.0)) == wanted


def test_more_parties_than_places_take_turns() -> None:
    turns = turns_of("ab", "abc")
    assert not turns.is_wanted("a", TURN_S)
    assert turns.is_wanted("a", TURN_S + 0.01)
    turns.take("c")
    assert not turns.is_wanted("a", TURN_S + 0.01), "who waits has one"


@given(st.integers(1, 8), st.lists(st.integers(1, 200), min_size=1, max_size=6))
def test_whoever_comes_when_all_places_are_taken_is_served_within_a_few_messages(places: int, sizes: list[int]) -> None:
    """Parties come one after the other, with so many lanes each as there are places; all are done in the end."""
    left = {f"party {number}": size for number, size in enumerate(sizes)}
    turns: Turns[tuple[str, int]] = Turns()
    at_work: list[tuple[str, int]] = []
    for party, size in left.items():
        for lane in range(min(places, size)):
            turns.wait(party, (party, lane))
        for _ in range(places + len(left)):
            _one_message(turns, at_work, left, places)
            assert len(at_work) <= places
        assert left[party] < size
    messages = 0
    while any(left.values()):
        _one_message(turns, at_work, left, places)
        messages += 1
        assert messages <= sum(sizes) + places * len(sizes)


def _one_message(
    turns: Turns[tuple[str, int]], at_work: list[tuple[str, int]], left: dict[str, int], places: int
) -> None:
    """The lane that has its place longest ends a message, and gives way where it is wanted."""
    while turns and len(at_work) < places:
        party, lane = turns.next()
        turns.take(party)
        at_work.append(lane)
    if not at_work:
        return
    lane = at_work.pop(0)
    party = lane[0]
    left[party] = max(0, left[party] - 1)
    is_done = not left[party]
    if is_done or turns.is_wanted(party, 2 * TURN_S):
        turns.give_back(party)
        if not is_done:
            turns.wait(party, lane)
    else:
        at_work.append(lane)
