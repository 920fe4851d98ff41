"""The limiter in Redis does what a few lines of plain arithmetic do, and nobody can overdraw it."""

import asyncio
import secrets
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from mailer.backends.redis.limiter import RedisLimiter
from mailer.backends.redis.scripts import TAKE
from mailer.interfaces.limiter import Bucket
from mailer.policy.pace import interval_us, slack_us
from mailer.vocabulary.quantity import Rate, parse_rate
from tests.ledger.campaigns import all_keys
from tests.pace.model import Model, busiest

# The same script on a clock that the test turns: seconds and microseconds are its last two arguments.
ON_A_CLOCK = TAKE.body.replace("call('TIME')", "{ARGV[#ARGV - 1], ARGV[#ARGV]}")
BEGIN_US = 1_750_000_000_000_000

RATES = st.builds(Rate, st.integers(1, 5000), st.sampled_from([1.0, 60.0, 3600.0]))
LINES = st.dictionaries(st.sampled_from("abc"), RATES, min_size=1)
ASKS = st.lists(
    st.tuples(
        st.integers(0, 3_000_000),
        st.sets(st.sampled_from("abc"), min_size=1),
        st.sampled_from([-1, 0, 10_000, 2_000_000]),
    ),
    max_size=40,
)


@pytest.fixture(scope="module")
def server(valkey_url: str) -> Iterator[Redis]:
    with Redis.from_url(valkey_url) as redis:
        yield redis


def ask(server: Redis, prefix: str, buckets: list[tuple[str, Rate]], now: int, most: int) -> int:
    keys = [prefix + name for name, _ in buckets]
    spacing = [number for _, rate in buckets for number in (interval_us(rate), slack_us(rate))]
    numbers = [most, *spacing, now // 1_000_000, now % 1_000_000]
    answer = server.eval(ON_A_CLOCK, len(keys), *keys, *map(str, numbers))
    assert isinstance(answer, int)
    return answer


def test_the_clock_of_the_script_is_the_only_thing_that_is_replaced() -> None:
    assert TAKE.body.count("local time = call('TIME')") == 1
    assert "call('TIME')" not in ON_A_CLOCK


@settings(deadline=None)
@given(lines=LINES, asks=ASKS)
def test_it_gives_the_places_that_the_model_gives(
    server: Redis, lines: dict[str, Rate], asks: list[tuple[int, set[str], int]]
) -> None:
    model, now, prefix = Model(), BEGIN_US, secrets.token_hex(8)
    for passed, names, most in asks:
        now += passed
        if buckets := [(name, rate) for name, rate in lines.items() if name in names]:
            assert ask(server, prefix, buckets, now, most) == model.take(buckets, now, most)


@settings(deadline=None)
@given(rates=st.lists(RATES, min_size=1, max_size=3), asks=st.lists(st.tuples(st.integers(0, 500_000), st.booleans())))
def test_no_window_holds_more_than_its_share_and_one_burst(
    server: Redis, rates: list[Rate], asks: list[tuple[int, bool]]
) -> None:
    now, prefix, begun = BEGIN_US, secrets.token_hex(8), []
    buckets = list(zip("abc", rates, strict=False))
    for passed, patient in asks:
        now += passed
        most = 2_000_000 if patient else 0
        if (wait := ask(server, prefix, buckets, now, most)) <= most:
            begun.append((now + wait - BEGIN_US) / 1e6)
    for rate in rates:
        burst = 1 + slack_us(rate) / interval_us(rate)
        for window_s in (0.01, 0.1, 1.0, 10.0):
            assert busiest(begun, window_s) <= window_s * rate.messages / rate.seconds + burst + 1e-3


async def test_idle_time_earns_no_burst(ledgers: Ledgers) -> None:
    limiter = RedisLimiter(ledgers.redis, ledgers.keys)
    bucket = Bucket("relay", parse_rate("2/s"))
    assert await limiter.take([bucket], most_s=2) == 0
    for place in (0.5, 1.0, 1.5):
        assert await limiter.take([bucket], most_s=2) == pytest.approx(place, abs=0.1)


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


async def test_many_clients_at_once_get_places_one_after_the_other(ledgers: Ledgers) -> None:
    async with open_ledgers(ledgers.url, prefix=ledgers.keys.prefix, lease_s=10) as other:
        limiters = [RedisLimiter(ledgers.redis, ledgers.keys), RedisLimiter(other.redis, other.keys)]
        bucket = Bucket("relay", parse_rate("1/s"))
        waits = await asyncio.gather(*(limiters[turn % 2].take([bucket], most_s=60) for turn in range(30)))
    assert sorted(waits) == pytest.approx([float(place) for place in range(30)], abs=0.5)
