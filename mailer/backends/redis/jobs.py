"""arq jobs: the alarm clock. A job says only where to look (campaign, chunk) and may be lost, doubled or expired."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec
from arq.connections import ArqRedis, RedisSettings
from arq.constants import in_progress_key_prefix, job_key_prefix
from arq.jobs import serialize_job
from arq.worker import func
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError

from mailer.backends.redis.connection import PASSING, connect
from mailer.backends.redis.scripts import ENQUEUE
from mailer.backends.redis.server import redis_ms
from mailer.backends.redis.wire import connection_pool

if TYPE_CHECKING:
    from mailer.backends.redis.keys import Keys
    from mailer.backends.redis.server import Server

FUNCTION = "chunk"
"""arq's name of the one function there is."""
JOB_TTL_S = 30 * 86400
"""How long arq keeps a job that nobody takes; the reconciler makes a new one afterwards."""
JOB_TIMEOUT_S = 1000
"""Above our own deadline for a chunk and the longest reply of a relay, so that arq never cancels a send."""
UNCLAIMED_LEASES, UNCLAIMED_S = 1.5, 3.0
"""Leases, and seconds at least, after which a job that was taken should have claimed its chunk. arq's lock on it has no
owner and lasts as long as a job may; a second job for a chunk that is slow does no harm."""
BATCH = 500
TURNS = 2**40
"""Scores that each priority has: about 10^12 jobs, until the queue is empty and begins anew."""
MOST_PRIORITY = 1000
LONGEST_PAUSE_S, TRIES = 0.25, 100
"""How arq waits for a server that is away: often enough to be there soon when it is back, for half a minute."""

_LOCK_S = JOB_TIMEOUT_S + 10
"""How long arq's lock lasts: it adds ten seconds to the time-out."""
_NO_KEY = -2
"""What PTTL answers about a key that is not there."""
_RING = "redis.pcall('PUBLISH', ARGV[1], '') return 0"
"""Whoever may not publish enqueues all the same: workers look by themselves, a little later."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


def serialize(job: Any) -> bytes:
    """A job as msgpack: arq's default, pickle, would run whatever somebody plants in Redis."""
    return _encode(job)


def deserialize(blob: bytes) -> Any:
    """A job from msgpack."""
    return _decode(blob)


def scores_of(priority: int) -> tuple[int, int]:
    """The lowest and the highest score of a priority: a higher priority stands before, and all before time began.

    What is beyond ±1000 counts as that. Scores are whole numbers that a double holds, and never 0: to arq that is none.
    """
    place = -min(MOST_PRIORITY, max(-MOST_PRIORITY, priority)) - MOST_PRIORITY - 1
    return place * TURNS, (place + 1) * TURNS - 1


class Jobs:
    """Hands in jobs, many in one round trip, in the form that arq's own `enqueue_job` gives them but for the score.

    arq's score is a time, and what is to come waits. Ours are far in its past: an order, by priority, and within a
    priority by turns of its campaigns, whatever the clocks of producers and workers say.
    """

    def __init__(self, redis: "Server", keys: "Keys", *, lease_s: float = 10.0) -> None:
        self._redis = redis
        self._keys = keys
        self._priorities: dict[str, int] = {}
        self._claimed_by_ms = (_LOCK_S - max(UNCLAIMED_S, UNCLAIMED_LEASES * lease_s)) * 1000

    async def enqueue(self, chunks: Sequence[tuple[str, int, int]]) -> None:
        """One job for each (campaign id, chunk, generation). One that waits or runs already is left as it is."""
        if not chunks:
            return
        now = await redis_ms(self._redis)
        for campaign_id, group in groupby(chunks, itemgetter(0)):
            jobs = [
                (
                    self._keys.job(campaign_id, chunk, generation),
                    serialize_job(FUNCTION, (campaign_id, chunk), {}, None, now, serializer=serialize),
                )
                for _, chunk, generation in group
            ]
            scores = scores_of(await self._priority(campaign_id))
            about = (campaign_id, *scores, JOB_TTL_S, job_key_prefix, in_progress_key_prefix)
            for start in range(0, len(jobs), BATCH):
                words = [word for job in jobs[start : start + BATCH] for word in job]
                await ENQUEUE(self._redis, [self._keys.queue, self._keys.turns], *about, *words)
        with suppress(RedisError, OSError):
            await self._redis.eval(_RING, 0, bell_of(self._keys.queue))

    async def _priority(self, campaign_id: str) -> int:
        if (priority := self._priorities.get(campaign_id)) is None:
            known = await self._redis.hget(self._keys.campaign(campaign_id), "priority")
            priority = self._priorities[campaign_id] = int(known or 0)
        return priority

    async def missing(self, chunks: Sequence[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
        """Those of (campaign id, chunk, generation) that have no job, or one that nobody will run.

        That is one that is not in the queue or stands where ours never do, and one that was taken long ago: only for
        chunks that nobody holds, so a job that runs for so long without a claim died before it.
        """
        async with self._redis.pipeline(transaction=False) as pipe:
            for campaign_id, chunk, generation in chunks:
                job_id = self._keys.job(campaign_id, chunk, generation)
                pipe.exists(job_key_prefix + job_id)
                pipe.pttl(in_progress_key_prefix + job_id)
                pipe.zscore(self._keys.queue, job_id)
            answers = await pipe.execute()
        found = zip(chunks, answers[::3], answers[1::3], answers[2::3], strict=True)
        return [chunk for chunk, there, lock_ms, score in found if not (there and self._will_run(lock_ms, score))]

    def _will_run(self, lock_ms: int, score: float | None) -> bool:
        """Whether arq will run a job, or runs it. A lock that never ends (-1 ms) is none of arq's; -2 ms is no lock."""
        return score is not None and score < 0 and (lock_ms == _NO_KEY or lock_ms >= self._claimed_by_ms)

    async def waiting(self) -> int:
        """Jobs in the queue, those being worked on included."""
        return int(await self._redis.zcard(self._keys.queue))


def bell_of(queue: str) -> str:
    """The channel on which it rings when something is put into a queue."""
    return f"{queue}:bell"


async def hear(url: str, queue: str, rung: Callable[[], object]) -> None:
    """Call `rung` whenever something is put into the queue, and once when it begins. Does not return.

    Raises redis-py's errors, at once when the server goes away and a `TimeoutError` when nobody has rung for a minute:
    a connection of which one end is dead must not be listened to for ever.
    """
    # redis-py's channels have no types.
    client: Any = connect(url, patience=0)
    try:
        async with client.pubsub() as channel:
            await channel.subscribe(bell_of(queue))
            async for _ in channel.listen():
                rung()
    finally:
        await client.aclose()


def redis_settings(url: str) -> RedisSettings:
    """The same server, said arq's way: with the host name verified, and patient while it restarts."""
    parts = parse_url(url)
    settings = RedisSettings(
        database=int(parts.get("db", 0) or 0),
        username=parts.get("username"),
        password=parts.get("password"),
        ssl=url.startswith("rediss://"),
        ssl_check_hostname=True,
        conn_timeout=5,
        retry=Retry(ExponentialBackoff(cap=LONGEST_PAUSE_S, base=0.05), TRIES),
        retry_on_error=list(PASSING),
    )
    if "path" in parts:
        settings.unix_socket_path = parts["path"]
    else:
        settings.host = parts.get("host", "localhost")
        settings.port = int(parts.get("port", 6379))
    return settings


def reader_pool(url: str, queue: str) -> ArqRedis:
    """The connections of a queue reader, which connect when first used.

    arq would make them itself, and forget one that is cancelled while it connects.
    """
    retry = Retry(ExponentialBackoff(cap=LONGEST_PAUSE_S, base=0.05), TRIES)
    pool = connection_pool(url, socket_connect_timeout=5, retry=retry, retry_on_error=list(PASSING), encoding="utf8")
    return ArqRedis(
        pool,
        job_serializer=serialize,
        job_deserializer=deserialize,
        default_queue_name=queue,
        expires_extra_ms=JOB_TTL_S * 1000,
    )


def worker_settings(
    url: str,
    queue: str,
    work: Callable[[dict[str, Any], str, int], Awaitable[None]],
    *,
    chunks_at_once: int,
    wait_s: int,
) -> dict[str, Any]:
    """arq's settings, each where its default is wrong for mail. `work` takes (ctx, campaign id, chunk)."""
    return {
        "functions": [func(work, name=FUNCTION, keep_result=0, timeout=JOB_TIMEOUT_S, max_tries=2**31)],  # type: ignore[arg-type] # arq wants any arguments
        "queue_name": queue,
        "redis_settings": redis_settings(url),
        "max_jobs": chunks_at_once,
        "poll_delay": 0.05,
        "keep_result": 0,
        "max_tries": 2**31,
        "job_timeout": JOB_TIMEOUT_S,
        "job_completion_wait": wait_s,
        "job_serializer": serialize,
        "job_deserializer": deserialize,
        "expires_extra_ms": JOB_TTL_S * 1000,
        "health_check_interval": 10,
        "log_results": False,
    }
