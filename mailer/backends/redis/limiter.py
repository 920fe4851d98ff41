"""The limiter in Redis: one atomic script over all lines of a message, on the clock of the queue server."""

from functools import lru_cache
from typing import TYPE_CHECKING

from mailer.backends.redis.scripts import TAKE
from mailer.policy.pace import interval_us, shape, slack_us

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailer.backends.redis.keys import Keys
    from mailer.backends.redis.server import Server
    from mailer.interfaces.limiter import Bucket
    from mailer.vocabulary.quantity import Rate

_MICRO = 1_000_000


class RedisLimiter:
    """Implements `interfaces.limiter.Limiter`.

    Buckets of one name are the rates of one line: the fastest spaces its messages, the others are quotas over a
    sliding window (see `policy.pace`). A line is one key for the next even place, and, where somebody has a quota for
    it, one hash with the messages in each part of the window. Both expire when they say nothing any more.
    """

    def __init__(self, redis: "Server", keys: "Keys") -> None:
        self._redis = redis
        self._spacing = f"{keys.prefix}:pace:"
        self._quotas = f"{keys.prefix}:quota:"

    async def take(self, buckets: "Sequence[Bucket]", *, most_s: float) -> float:
        """Take the next place that is free in all buckets at once; seconds until it is its turn, 0.0 for now.

        It counts in the quotas as of that time. When it is more than `most_s` away nothing is taken, and the answer
        says when to ask again: for a full quota that is when the oldest of its messages no longer count. With a
        negative `most_s` that is always so: it only looks. Raises redis-py's errors.
        """
        if not buckets:
            return 0.0
        lines: dict[str, tuple[Rate, ...]] = {}
        for bucket in buckets:
            lines[bucket.name] = (*lines.get(bucket.name, ()), bucket.rate)
        keys = [place + name for name in lines for place in (self._spacing, self._quotas)]
        numbers = [number for rates in lines.values() for number in numbers_of(rates)]
        wait_us: int = await TAKE(self._redis, keys, int(most_s * _MICRO), *numbers)
        return wait_us / _MICRO


@lru_cache(maxsize=256)
def numbers_of(rates: "tuple[Rate, ...]") -> tuple[int, ...]:
    """The rates of a line as the script takes them: interval, slack, number of quotas, window and messages of each."""
    spacing, quotas = shape(rates)
    limits = [number for quota in quotas for number in (quota.window_us, quota.messages)]
    return (interval_us(spacing), slack_us(spacing), len(quotas), *limits)
