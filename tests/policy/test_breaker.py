"""When to stop asking."""

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.policy.breaker import ContentBreaker, RouteBreaker
from mailer.policy.classification import classify
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.reply import Reply
from mailer.vocabulary.verdict import Verdict

TAKEN = classify(Phase.DOT, Reply(250, "2.0.0", "ok"))
SPAM = classify(Phase.DOT, Reply(554, "5.7.1", "spam"))
DISLIKED = classify(Phase.RCPT, Reply(550, "5.7.1", "blocked"))
UNEXPLAINED = classify(Phase.DOT, Reply(554, None, "transaction failed"))
TOO_BIG = classify(Phase.DOT, Reply(552, "5.3.4", "too big"))
NOBODY = classify(Phase.RCPT, Reply(550, "5.1.1", "no such user"))
LATER = classify(Phase.RCPT, Reply(450, "4.7.1", "greylisted"))
DOWN = classify(Phase.MAIL, Reply(421, "4.3.2", "closing"))


def content(*verdicts: Verdict, limit: int = 5) -> ContentBreaker:
    return reduce(ContentBreaker.after, verdicts, ContentBreaker(limit))


def failing(times: int, *, now: float = 100.0, jitter: float = 0.0) -> RouteBreaker:
    breaker = RouteBreaker()
    for _ in range(times):
        breaker = breaker.failed(now, jitter=jitter)
    return breaker


@pytest.mark.parametrize("refusal", [SPAM, DISLIKED, UNEXPLAINED, TOO_BIG])
def test_refusals_in_a_row_of_what_we_send_open_it(refusal: Verdict) -> None:
    assert not content(*[refusal] * 4).is_open
    assert content(*[refusal] * 5).is_open


def test_the_number_in_a_row_is_the_campaigns() -> None:
    assert content(SPAM, SPAM, limit=2).is_open


def test_an_accepted_message_ends_the_row() -> None:
    assert not content(*[SPAM] * 4, TAKEN, *[SPAM] * 4).is_open


@pytest.mark.parametrize("verdict", [NOBODY, LATER, DOWN])
def test_what_is_about_recipients_or_the_route_counts_neither_way(verdict: Verdict) -> None:
    assert not content(*[verdict] * 100).is_open
    assert content(*[SPAM, verdict] * 5).is_open


def test_more_than_a_fifth_of_the_last_fifty_open_it() -> None:
    one_in_five = [SPAM, TAKEN, TAKEN, TAKEN, TAKEN]
    assert not content(*one_in_five * 40).is_open
    assert content(*one_in_five * 40, SPAM, SPAM).is_open


def test_refusals_older_than_fifty_messages_are_forgotten() -> None:
    assert not content(*[SPAM, TAKEN] * 5, *[TAKEN] * 50, *[SPAM, TAKEN] * 5).is_open


def test_open_content_stays_refused_whatever_comes_back_late() -> None:
    assert content(*[SPAM] * 5, *[TAKEN] * 100).is_open


def test_a_route_opens_after_five_errors_in_a_row() -> None:
    assert failing(4).wait(100.0) == 0.0
    assert not failing(4).is_open
    assert failing(5).is_open
    assert failing(5).wait(100.0) == 1.0


def test_a_success_ends_the_row_of_errors() -> None:
    breaker = failing(4).succeeded()
    for _ in range(4):
        breaker = breaker.failed(101.0, jitter=0.0)
    assert not breaker.is_open


def test_connections_that_die_together_are_one_outage() -> None:
    assert failing(50).wait(100.0) == 1.0


def test_an_open_route_lets_one_probe_through() -> None:
    breaker = failing(5)
    assert breaker.wait(100.5) == 0.5
    assert breaker.wait(101.0) == 0.0
    assert breaker.trying(101.0).wait(101.0) > 0.0


def test_a_closed_route_lets_everybody_through() -> None:
    assert RouteBreaker().trying(1.0).wait(1.0) == 0.0


def test_failed_probes_double_the_wait_up_to_five_minutes() -> None:
    breaker, now, waits = failing(5), 100.0, []
    for _ in range(12):
        waits.append(breaker.wait(now))
        now += breaker.wait(now)
        breaker = breaker.trying(now).failed(now, jitter=0.0)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


def test_a_probe_that_succeeds_closes_the_route() -> None:
    breaker = failing(5).trying(101.0).succeeded()
    assert not breaker.is_open
    assert breaker.wait(101.0) == 0.0
    assert breaker.down_for(101.0) == 0.0


def test_a_probe_that_never_comes_back_makes_room_for_another() -> None:
    assert failing(5).trying(101.0).wait(401.0) == 0.0


def test_it_knows_how_long_the_route_is_down() -> None:
    breaker = failing(5, now=100.0).trying(500.0).failed(500.0, jitter=0.0)
    assert breaker.down_for(1000.0) == 900.0


def test_an_ordered_rest_holds_even_when_somebody_still_succeeds() -> None:
    breaker = failing(2).resting(100.0, 300.0).succeeded()
    assert breaker.wait(100.0) == 300.0
    assert not breaker.is_open
    assert breaker.wait(400.0) == 0.0


def test_a_rest_never_shortens_a_longer_one() -> None:
    assert RouteBreaker().resting(0.0, 300.0).resting(0.0, 1.0).wait(0.0) == 300.0


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1000), st.floats(-1, 1)), max_size=60))
def test_whatever_happens_an_open_route_waits_between_one_second_and_five_minutes(
    story: list[tuple[bool, float, float]],
) -> None:
    breaker, now = RouteBreaker(), 0.0
    for works, pause, jitter in story:
        now += max(pause, breaker.wait(now))
        breaker = breaker.trying(now)
        breaker = breaker.succeeded() if works else breaker.failed(now, jitter=jitter)
        waits = breaker.wait(now)
        assert 1.0 - 1e-6 <= waits <= 300.0 + 1e-6 if breaker.is_open else waits == 0.0


def test_a_route_that_is_down_for_years_is_still_only_down() -> None:
    breaker, now = failing(5), 100.0
    for _ in range(3000):
        now += breaker.wait(now)
        breaker = breaker.trying(now).failed(now, jitter=1.0)
    assert breaker.wait(now) == pytest.approx(300.0)
