"""The workers that are alive: heartbeats, and the one among them that reconciles."""

import platform
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from mailer.backends.redis.scripts import LEAD, LEAVE
from mailer.backends.redis.server import redis_ms

if TYPE_CHECKING:
    from mailer.backends.redis.keys import Keys
    from mailer.backends.redis.server import Server

BEAT_S = 2.0
"""Seconds between two heartbeats."""
HEALTHY = "ok"


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """A worker process as others see it."""

    owner: str
    host: str
    pid: int
    version: str
    health: str = HEALTHY
    """`ok`, or why it does not claim anything."""
    beat_ms: int = 0

    @property
    def is_healthy(self) -> bool:
        """True when it works, or would if there were work."""
        return self.health == HEALTHY


class Fleet:
    """Heartbeats in Redis. A worker silent for longer than the lease has lost what it claimed."""

    def __init__(self, redis: "Server", keys: "Keys", lease_s: float) -> None:
        self._redis = redis
        self._keys = keys
        self._lease_ms = int(lease_s * 1000)

    async def leave(self, owner: str) -> None:
        """A worker ends in an orderly way and holds nothing any more: neither claims nor the lead."""
        await LEAVE(self._redis, [self._keys.workers, self._keys.worker_details, self._keys.leader], owner)

    async def lead(self, owner: str) -> bool:
        """True for the one worker that reconciles; another takes over when it is silent for half a lease."""
        return bool(
            await LEAD(
                self._redis,
                [self._keys.leader, self._keys.schema, self._keys.campaigns],
                owner,
                max(1000, self._lease_ms // 2),
            )
        )

    async def bury(self, dead: Sequence[Worker]) -> None:
        """Forget workers that did not leave in an orderly way, unless they beat again meanwhile."""
        if not dead:
            return
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zremrangebyscore(self._keys.workers, "-inf", max(worker.beat_ms for worker in dead))
            pipe.hdel(self._keys.worker_details, *(worker.owner for worker in dead))
            await pipe.execute()

    async def alive(self) -> list[Worker]:
        """Workers whose last heartbeat is younger than the lease."""
        known, living = await self.census()
        return [worker for worker in known if worker.owner in living]

    async def census(self) -> tuple[list[Worker], frozenset[str]]:
        """Every worker there is a record of, and the owners among them that are alive, as of one moment."""
        now = await redis_ms(self._redis)
        known = await self.known()
        return known, frozenset(worker.owner for worker in known if worker.beat_ms >= now - self._lease_ms)

    async def known(self) -> list[Worker]:
        """Every worker that did not leave in an orderly way, dead ones included."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zrange(self._keys.workers, 0, -1, withscores=True)
            pipe.hgetall(self._keys.worker_details)
            beats, details = await pipe.execute()
        workers = []
        for owner, beat in beats:
            fields: dict[str, Any] = msgspec.msgpack.decode(details[owner]) if owner in details else {}
            fields |= {"beat_ms": int(beat)}
            workers.append(msgspec.convert(_BLANK | {"owner": owner.decode()} | fields, Worker))
        return workers


_BLANK = {"host": "?", "pid": 0, "version": "?"}


def details_of(worker: Worker) -> bytes:
    """A worker's entry as it is stored."""
    return msgspec.msgpack.encode(worker)


def new_owner() -> str:
    """A name for one start of one process: a counter in Redis could be handed out twice after a rollback."""
    return secrets.token_hex(5)


def host_name() -> str:
    """This machine, as the workers' list calls it."""
    return platform.node() or "localhost"
