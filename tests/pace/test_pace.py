"""What a message is counted with, and how far apart its places are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.policy.pace import Pace, Quota, interval_us, least_seconds, line_of, pace_of, quota_of, shape, slack_us
from mailer.vocabulary.quantity import Rate, parse_rate
from mailer.vocabulary.route import Route, Security
from mailer.vocabulary.settings import DeliverySettings

SLOW, FAST = parse_rate("300/min"), parse_rate("10/s")
RATES = st.builds(Rate, st.integers(1, 10**6), st.sampled_from([1.0, 60.0, 3600.0, 86400.0]))


def test_without_limits_nothing_is_counted() -> None:
    assert pace_of("relay:587", DeliverySettings()) is None


def test_all_rates_of_a_campaign_are_those_of_its_line() -> None:
    pace = pace_of("relay:587", DeliverySettings(rate=(SLOW, FAST)))
    assert pace is not None
    assert pace.of_relay() == [("relay:587", SLOW), ("relay:587", FAST)]
    assert pace.of_domains(["a@gmail.com"]) == []


def test_the_fastest_rate_spaces_and_all_others_are_quotas() -> None:
    daily = parse_rate("20000/day")
    assert shape([daily, FAST, SLOW, FAST]) == (FAST, [Quota(300, 60_100_000), Quota(20_000, 86_400_100_000)])
    assert Pace("relay:587", (daily, FAST), {}).interval_s == 0.1
    assert shape([daily]) == (daily, [])
    assert Pace("relay:587", (), {"x.test": SLOW}).interval_s == 0


@pytest.mark.parametrize(
    ("rate", "quota"),
    [("1/s", Quota(1, 1_000_000)), ("2.5/s", Quota(2, 1_000_000)), ("0.5/h", Quota(1, 7_200_000_000))],
)
def test_a_quota_has_whole_messages_and_never_more_than_the_rate(rate: str, quota: Quota) -> None:
    assert quota_of(parse_rate(rate)) == quota


def test_a_window_is_wider_by_what_a_message_may_be_late() -> None:
    rates = [parse_rate(rate) for rate in ("2/s", "30/min")]
    assert shape(rates)[1] == [Quota(30, 60_500_000)]


@pytest.mark.parametrize(
    ("messages", "rates", "seconds"),
    [
        (1000, [], 0),
        (1, ["10/s"], 0),
        (101, ["10/s"], 10),
        (100, ["100/min", "10/s"], 9.9),
        (101, ["100/min", "10/s"], 60.1),
        (50_000, ["10/s", "20000/day"], 2 * 86_400.1),
    ],
)
def test_how_long_a_campaign_takes_at_least(messages: int, rates: list[str], seconds: float) -> None:
    assert least_seconds(messages, map(parse_rate, rates)) == seconds


@pytest.mark.parametrize(
    ("written", "email"),
    [
        ("gmail.com", "ann@gmail.com"),
        ("GMail.com", "ann@gmail.com"),
        ("gmail.com", "ann@GMAIL.COM"),
        ("bücher.test", "ann@xn--bcher-kva.test"),
        ("XN--BCHER-KVA.test", "ann@xn--bcher-kva.test"),
    ],
)
def test_a_domain_is_the_same_however_it_is_written(written: str, email: str) -> None:
    pace = pace_of("relay:587", DeliverySettings(domain_rate={written: SLOW}))
    assert pace is not None
    assert pace.of_relay() == []
    assert [rate for _, rate in pace.of_domains([email])] == [SLOW]
    assert pace.of_domains(["ann@else.test"]) == pace.of_domains(["ann@mail.gmail.com"]) == []


def test_a_domain_that_nobody_can_be_at_is_no_error() -> None:
    pace = pace_of("relay:587", DeliverySettings(domain_rate={"localhost": SLOW, "a b": SLOW}))
    assert pace is not None
    assert pace.of_domains(["ann@gmail.com"]) == []


def test_a_message_to_several_of_a_domain_is_one_message() -> None:
    pace = pace_of("relay:587", DeliverySettings(domain_rate={"gmail.com": SLOW, "x.test": FAST}))
    assert pace is not None
    assert pace.of_domains(["a@gmail.com", "b@gmail.com", "c@x.test", "d@y.test"]) == [
        ("relay:587 gmail.com", SLOW),
        ("relay:587 x.test", FAST),
    ]


def test_relay_and_login_make_a_line() -> None:
    ann, bob = (Route(host="Relay.test", port=587, security=Security.STARTTLS, user=user) for user in ("ann", "bob"))
    nobody = Route(host="relay.test", port=587, security=Security.PLAIN)
    assert [line_of(route) for route in (ann, bob, nobody)] == [
        "ann@relay.test:587",
        "bob@relay.test:587",
        "relay.test:587",
    ]


@given(RATES)
def test_places_are_never_closer_than_the_rate(rate: Rate) -> None:
    assert interval_us(rate) * rate.messages >= rate.seconds * 1_000_000


@pytest.mark.parametrize(
    ("rate", "burst"),
    [("1/h", 1), ("1/s", 1), ("10/s", 1), ("600/min", 1), ("20/s", 2), ("100/s", 10), ("1000/s", 100)],
)
def test_a_burst_is_one_message_or_a_tenth_of_a_second_of_them(rate: str, burst: int) -> None:
    read = parse_rate(rate)
    assert 1 + slack_us(read) // interval_us(read) == burst
