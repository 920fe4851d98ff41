"""The limiter in Redis: one atomic script over all buckets of a message, on the clock of the queue server."""

from typing import TYPE_CHECKING

from mailer.backends.redis.scripts import TAKE
from mailer.policy.pace import interval_us, slack_us

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailer.backends.redis.keys import Keys
    from mailer.backends.redis.server import Server
    from mailer.interfaces.limiter import Bucket

_MICRO = 1_000_000


class RedisLimiter:
    """Implements `interfaces.limiter.Limiter`. A bucket is one key that expires when it is free again."""

    def __init__(self, redis: "Server", keys: "Keys") -> None:
        self._redis = redis
        self._prefix = f"{keys.prefix}:pace:"

    async def take(self, buckets: "Sequence[Bucket]", *, most_s: float) -> float:
        """Take the next place that is free in all buckets at once; seconds until it is its turn, 0.0 for now.

        When that is more than `most_s`, nothing is taken, and the answer says when to ask again. With a negative
        `most_s` that is always so: it only looks. No two buckets have one name. Raises redis-py's errors.
        """
        if not buckets:
            return 0.0
        spacing = [number for bucket in buckets for number in (interval_us(bucket.rate), slack_us(bucket.rate))]
        keys = [self._prefix + bucket.name for bucket in buckets]
        wait_us: int = await TAKE(self._redis, keys, int(most_s * _MICRO), *spacing)
        return wait_us / _MICRO
