"""When a deferred recipient is tried again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.policy.retry import is_expired, next_due

SCHEDULE = (300.0, 900.0, 3600.0, 7200.0, 14400.0)


@pytest.mark.parametrize(
    ("attempt", "seconds"), [(1, 300), (2, 900), (3, 3600), (4, 7200), (5, 14400), (6, 14400), (20, 14400)]
)
def test_the_schedule_is_followed_and_its_last_delay_repeats(attempt: int, seconds: float) -> None:
    assert next_due(attempt, SCHEDULE, jitter=0.0) == seconds


@pytest.mark.parametrize(("jitter", "seconds"), [(-1.0, 240), (-0.5, 270), (0.0, 300), (1.0, 360)])
def test_jitter_moves_a_delay_by_a_fifth_at_most(jitter: float, seconds: float) -> None:
    assert next_due(1, SCHEDULE, jitter=jitter) == pytest.approx(seconds)


@given(
    st.integers(0, 10**6),
    st.lists(st.floats(0, 1e6), min_size=1, max_size=8).map(tuple),
    st.floats(-1, 1),
)
def test_every_delay_is_near_one_of_the_schedule(attempt: int, delays: tuple[float, ...], jitter: float) -> None:
    seconds = next_due(attempt, delays, jitter=jitter)
    assert any(0.79 * delay <= seconds <= 1.21 * delay for delay in delays)


@pytest.mark.parametrize(
    ("attempt", "age", "expired"),
    [
        (1, 0.0, False),
        (19, 172_799.0, False),
        (20, 0.0, True),
        (1, 172_800.0, True),
        (0, 172_799.0, False),
    ],
)
def test_a_recipient_expires_by_its_tries_or_by_its_age(attempt: int, age: float, expired: bool) -> None:
    assert is_expired(attempt, age, max_attempts=20, max_age=172_800.0) is expired
