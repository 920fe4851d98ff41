"""The limiter in Redis does what a few lines of plain arithmetic do, and nobody can overdraw it."""

import asyncio
import secrets
import time
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from mailer.backends.redis.limiter import RedisLimiter, numbers_of
from mailer.backends.redis.scripts import TAKE
from mailer.interfaces.limiter import Bucket
from mailer.policy.pace import interval_us, shape, slack_us
from mailer.vocabulary.quantity import Rate, parse_rate
from tests.ledger.campaigns import all_keys
from tests.pace.model import Model, busiest, over_us

# The same script on a clock that the test turns: seconds and microseconds are its last two arguments.
ON_A_CLOCK = TAKE.body.replace("call('TIME')", "{ARGV[#ARGV - 1], ARGV[#ARGV]}")
BEGIN_US = 1_750_000_000_000_000
MINUTE_US = 60_100_000
"""The window of a quota per minute, where messages may be 100 ms late."""
MINUTE_BEGIN_US = over_us(MINUTE_US, BEGIN_US) - MINUTE_US
"""When one of its parts begins."""

RATES = st.builds(Rate, st.integers(1, 5000), st.sampled_from([1.0, 60.0, 3600.0]))
SMALL = st.builds(Rate, st.integers(1, 8), st.sampled_from([1.0, 60.0, 3600.0, 86400.0])) | st.just(Rate(0.5, 60.0))
SHAPES = st.lists(RATES | SMALL, min_size=1, max_size=3, unique=True).map(lambda rates: sorted(rates, key=interval_us))
"""The rates of a line, the fastest first."""
LINES = st.dictionaries(st.sampled_from("abc"), SHAPES, min_size=1)
PAUSES = st.integers(0, 3_000_000) | st.integers(0, 100_000_000_000)
ASKS = st.lists(
    st.tuples(PAUSES, st.sets(st.sampled_from("abc"), min_size=1), st.sampled_from([-1, 0, 10_000, 2_000_000, 10**11])),
    max_size=40,
)


@pytest.fixture(scope="module")
def server(valkey_url: str) -> Iterator[Redis]:
    with Redis.from_url(valkey_url) as redis:
        yield redis


def ask(server: Redis, prefix: str, lines: Sequence[tuple[str, Sequence[Rate]]], now: int, most: int) -> int:
    keys = [f"{prefix}{kind}{name}" for name, _ in lines for kind in ("pace:", "quota:")]
    shapes = [number for _, rates in lines for number in numbers_of(tuple(rates))]
    numbers = [most, *shapes, now // 1_000_000, now % 1_000_000]
    answer = server.eval(ON_A_CLOCK, len(keys), *keys, *map(str, numbers))
    assert isinstance(answer, int)
    return answer


def test_the_clock_of_the_script_is_the_only_thing_that_is_replaced() -> None:
    assert TAKE.body.count("local time = call('TIME')") == 1
    assert "call('TIME')" not in ON_A_CLOCK


@settings(deadline=None)
@given(lines=LINES, others=LINES, asks=ASKS)
def test_it_gives_the_places_that_the_model_gives(
    server: Redis, lines: dict[str, list[Rate]], others: dict[str, list[Rate]], asks: list[tuple[int, set[str], int]]
) -> None:
    """Two campaigns with rates of their own share the lines, in turns."""
    model, now, prefix = Model(), BEGIN_US, secrets.token_hex(8)
    for turn, (passed, names, most) in enumerate(asks):
        now += passed
        if asked := [(name, rates) for name, rates in (others if turn % 3 else lines).items() if name in names]:
            assert ask(server, prefix, asked, now, most) == model.take(asked, now, most)


@settings(deadline=None)
@given(rates=st.lists(RATES, min_size=1, max_size=3), asks=st.lists(st.tuples(st.integers(0, 500_000), st.booleans())))
def test_no_window_holds_more_than_its_share_and_one_burst(
    server: Redis, rates: list[Rate], asks: list[tuple[int, bool]]
) -> None:
    now, prefix, begun = BEGIN_US, secrets.token_hex(8), []
    buckets = [(name, [rate]) for name, rate in zip("abc", rates, strict=False)]
    for passed, patient in asks:
        now += passed
        most = 2_000_000 if patient else 0
        if (wait := ask(server, prefix, buckets, now, most)) <= most:
            begun.append((now + wait - BEGIN_US) / 1e6)
    for rate in rates:
        burst = 1 + slack_us(rate) / interval_us(rate)
        for window_s in (0.01, 0.1, 1.0, 10.0):
            assert busiest(begun, window_s) <= window_s * rate.messages / rate.seconds + burst + 1e-3


@settings(deadline=None)
@given(
    rates=st.lists(SMALL, min_size=1, max_size=2, unique=True),
    asks=st.lists(st.tuples(PAUSES, st.sampled_from([0, 2_000_000, 10**11])), max_size=60),
)
def test_no_window_ever_holds_more_than_its_quota(
    server: Redis, rates: list[Rate], asks: list[tuple[int, int]]
) -> None:
    now, prefix, begun = BEGIN_US, secrets.token_hex(8), []
    spacing = Rate(1000, 1.0)
    line = [("a", [spacing, *rates])]
    for passed, most in asks:
        now += passed
        if (wait := ask(server, prefix, line, now, most)) <= most:
            begun.append(now + wait)
    for quota in shape([spacing, *rates])[1]:
        assert busiest(begun, quota.window_us) <= quota.messages


@settings(deadline=None)
@given(line=SHAPES, pauses=st.lists(PAUSES, max_size=20))
def test_who_comes_when_he_was_told_to_has_his_place(server: Redis, line: list[Rate], pauses: list[int]) -> None:
    now, prefix = BEGIN_US, secrets.token_hex(8)
    for passed in pauses:
        now += passed
        if (wait := ask(server, prefix, [("a", line)], now, 0)) > 0:
            # Not a microsecond too early, and not again later.
            assert ask(server, prefix, [("a", line)], now + wait - 1, 0) == 1
            now += wait
            assert ask(server, prefix, [("a", line)], now, 0) == 0


def test_a_quota_is_used_as_fast_as_the_spacing_allows_and_room_is_made_part_by_part(server: Redis) -> None:
    prefix, line = secrets.token_hex(8), [("a", [parse_rate("10/s"), parse_rate("30/min")])]
    begin = MINUTE_BEGIN_US
    places = [ask(server, prefix, line, begin, 10**9) for _ in range(35)]
    assert places[:30] == [100_000 * place for place in range(30)]
    # Eleven have begun within the first part: with it they count no longer.
    assert places[30:] == [over_us(MINUTE_US, begin) - begin + 100_000 * place for place in range(5)]


def test_a_place_to_come_counts_at_its_own_time(server: Redis) -> None:
    prefix, quota = secrets.token_hex(8), [("a", [parse_rate("100/s"), parse_rate("1/min")])]
    begin = MINUTE_BEGIN_US
    slow = ("b", [parse_rate("1/min")])
    assert ask(server, prefix, [slow], begin, 0) == 0
    assert ask(server, prefix, [*quota, slow], begin, 10**9) == 60_000_000
    assert ask(server, prefix, quota, begin, -1) == over_us(MINUTE_US, begin + 60_000_000) - begin


def test_a_place_before_one_that_is_taken_already_is_the_first_to_make_room(server: Redis) -> None:
    """A domain holds a message up, and the next one fills the gap in the line of the relay."""
    prefix, begin = secrets.token_hex(8), BEGIN_US
    relay, domain = ("a", [parse_rate("1000/s"), parse_rate("2/s")]), ("b", [parse_rate("10/s")])
    assert ask(server, prefix, [domain], begin, 0) == 0
    assert ask(server, prefix, [relay, domain], begin, 10**6) == 100_000
    assert ask(server, prefix, [relay], begin, 10**6) == 2_000
    assert ask(server, prefix, [relay], begin, -1) == over_us(1_100_000, begin + 2_000) - begin


def test_of_two_quotas_over_one_window_the_smaller_holds(server: Redis) -> None:
    prefix, line = secrets.token_hex(8), [("a", list(map(parse_rate, ("100/s", "2/h", "5/h"))))]
    assert [ask(server, prefix, line, BEGIN_US, 10**6) for _ in range(2)] == [0, 0]
    assert ask(server, prefix, line, BEGIN_US, -1) >= 3_600_000_000


def test_campaigns_with_one_rate_only_count_in_the_quota_of_another_on_their_line(server: Redis) -> None:
    prefix, begin = secrets.token_hex(8), MINUTE_BEGIN_US
    both, one = [("a", [parse_rate("10/s"), parse_rate("5/min")])], [("a", [parse_rate("5/s")])]
    assert ask(server, prefix, both, begin, 0) == 0
    for place in range(1, 5):
        assert ask(server, prefix, one, begin + place * 200_000, 0) == 0
    assert ask(server, prefix, both, begin + 1_000_000, 0) == over_us(MINUTE_US, begin) - begin - 1_000_000
    assert ask(server, prefix, one, begin + 1_000_000, 0) == 0


def test_a_line_remembers_no_more_than_its_windows(server: Redis) -> None:
    prefix, now = secrets.token_hex(8), BEGIN_US
    both, one = [("a", [parse_rate("10/s"), parse_rate("20000/day")])], [("a", [parse_rate("10/s")])]
    for _ in range(200):
        now += 1_000_000_000
        assert ask(server, prefix, both, now, 0) == 0
    key = f"{prefix}quota:a"
    assert server.hkeys(key) == [b"86400100000"]
    size = server.hstrlen(key, "86400100000")
    assert isinstance(size, int)
    assert size < 62 * 6 + 3
    # Nor windows of which nothing counts any more.
    assert ask(server, prefix, one, now + 100_000_000_000, 0) == 0
    assert not server.exists(key)


async def test_idle_time_earns_no_burst(ledgers: Ledgers) -> None:
    limiter = RedisLimiter(ledgers.redis, ledgers.keys)
    bucket = Bucket("relay", parse_rate("2/s"))
    began = time.monotonic()
    assert await limiter.take([bucket], most_s=2) == 0
    for place in (0.5, 1.0, 1.5):
        wait_s = await limiter.take([bucket], most_s=2)
        assert place - (time.monotonic() - began) - 0.01 <= wait_s <= place + 0.01


async def test_who_would_wait_too_long_takes_nothing_and_hears_when_to_ask_again(ledgers: Ledgers) -> None:
    limiter = RedisLimiter(ledgers.redis, ledgers.keys)
    bucket = Bucket("relay", parse_rate("10/min"))
    assert await limiter.take([bucket], most_s=0) == 0
    for _ in range(3):
        assert await limiter.take([bucket], most_s=2) == pytest.approx(6, abs=0.5)
    # A look takes nothing even where everything is free.
    free = Bucket("other", parse_rate("10/min"))
    assert [await limiter.take([free], most_s=-1) for _ in range(3)] == [0, 0, 0]
    assert await limiter.take([], most_s=0) == 0


async def test_one_bucket_that_is_full_leaves_the_others_as_they_are(ledgers: Ledgers) -> None:
    limiter = RedisLimiter(ledgers.redis, ledgers.keys)
    relay, domain = Bucket("relay", parse_rate("1/min")), Bucket("relay x.test", parse_rate("1/h"))
    assert await limiter.take([domain], most_s=0) == 0
    assert await limiter.take([relay, domain], most_s=2) > 2
    assert await limiter.take([relay], most_s=0) == 0


async def test_buckets_are_under_the_prefix_and_go_away_by_themselves(ledgers: Ledgers) -> None:
    limiter = RedisLimiter(ledgers.redis, ledgers.keys)
    await limiter.take([Bucket("ann@relay:587 x.test", parse_rate("1/min"))], most_s=0)
    (key,) = await all_keys(ledgers)
    assert key == f"{ledgers.keys.prefix}:pace:ann@relay:587 x.test"
    async with ledgers.redis.pipeline(transaction=False) as pipe:
        pipe.pttl(key)
        (left_ms,) = await pipe.execute()
    assert 60_000 < left_ms <= 61_000


async def test_buckets_of_one_name_are_the_rates_of_one_line(ledgers: Ledgers) -> None:
    limiter = RedisLimiter(ledgers.redis, ledgers.keys)
    line = [Bucket("relay", parse_rate(rate)) for rate in ("4/day", "10/s")]
    waits = [await limiter.take(line, most_s=2) for _ in range(4)]
    assert waits == pytest.approx([0.0, 0.1, 0.2, 0.3], abs=0.1)
    for _ in range(2):
        assert 86_400 - 1 < await limiter.take(line, most_s=2) <= 86_400 * 61 / 60 + 1
    assert sorted(await all_keys(ledgers)) == [f"{ledgers.keys.prefix}:{kind}:relay" for kind in ("pace", "quota")]


async def test_a_quota_goes_away_when_its_last_message_counts_no_longer(ledgers: Ledgers) -> None:
    limiter = RedisLimiter(ledgers.redis, ledgers.keys)
    await limiter.take([Bucket("relay", parse_rate(rate)) for rate in ("4/h", "10/s")], most_s=0)
    async with ledgers.redis.pipeline(transaction=False) as pipe:
        pipe.pttl(f"{ledgers.keys.prefix}:quota:relay")
        (left_ms,) = await pipe.execute()
    assert 3_600_000 < left_ms <= 3_660_102 + 1_001


async def test_many_clients_at_once_get_places_one_after_the_other(ledgers: Ledgers) -> None:
    async with open_ledgers(ledgers.url, prefix=ledgers.keys.prefix, lease_s=10) as other:
        limiters = [RedisLimiter(ledgers.redis, ledgers.keys), RedisLimiter(other.redis, other.keys)]
        bucket = Bucket("relay", parse_rate("1/s"))
        waits = await asyncio.gather(*(limiters[turn % 2].take([bucket], most_s=60) for turn in range(30)))
    assert sorted(waits) == pytest.approx([float(place) for place in range(30)], abs=0.5)
