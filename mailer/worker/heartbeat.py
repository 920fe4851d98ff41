"""The heartbeat of a worker process: a thread, so that a busy event loop does not lose its lease.

Each beat is also the look at the queue server that arq does not take: it writes, it asks which start of the server this
is and whether it may evict, and it goes through only in the ledger that was there at the first one.
"""

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from msgspec import structs
from redis import Redis, RedisError
from redis.exceptions import ResponseError

from mailer.backends.redis.connection import may_evict, meaning
from mailer.backends.redis.fleet import HEALTHY, Worker, details_of
from mailer.backends.redis.gate import beat_s
from mailer.backends.redis.identity import other_ledger
from mailer.backends.redis.keys import PROTOCOL
from mailer.backends.redis.scripts import BEAT
from mailer.config.redis_url import redact

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailer.backends.redis.keys import Keys
    from mailer.vocabulary.errors import MailerError

STALLED_S = 1000.0
"""A loop that has not turned for so long is dead, and so is its worker."""

log = structlog.get_logger("mailer.worker")


def lease_clock() -> float:
    """Seconds on a clock that runs on while the machine is suspended, where there is one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(frozen=True, slots=True)
class Beat:
    """What one beat has found out: which start of the queue server it reached, or what the trouble is."""

    asked_at: float
    answered_at: float
    run_id: str = ""
    trouble: "MailerError | None" = None


class Heartbeat:
    """Beats every two seconds while the loop turns. `holds` says whether our own lease is still good."""

    def __init__(self, url: str, keys: "Keys", worker: Worker, lease_s: float) -> None:
        # redis-py's types mix the blocking client with the other one.
        self._redis: Any = Redis.from_url(url, socket_connect_timeout=5, socket_timeout=5)
        self._shown_url = redact(url)
        self._prefix = keys.prefix
        self._keys = [keys.workers, keys.worker_details, keys.identity, keys.schema]
        self._worker = worker
        self._lease_s = lease_s
        self._identity = b""
        self._beaten_at = 0.0
        self._turned_at = lease_clock()
        self._wake = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._turning: asyncio.Task[None] | None = None
        self.last = Beat(0.0, 0.0)
        self.heard: Callable[[], object] = lambda: None
        """Called in the heartbeat's thread after each beat."""
        self.health = HEALTHY
        """What the next beat tells the others about this worker."""

    async def __aenter__(self) -> "Heartbeat":
        self.last = self._beat()
        self._thread.start()
        self._turning = asyncio.create_task(self._turn())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over = True
        self._wake.set()
        if self._turning is not None:
            self._turning.cancel()
        await asyncio.to_thread(self._thread.join)
        self._redis.close()

    @property
    def holds(self) -> bool:
        """True while no other worker may think that we are dead."""
        return lease_clock() - self._beaten_at < self._lease_s

    def hurry(self) -> None:
        """Beat now: something has changed."""
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait(beat_s(self._lease_s))
            self._wake.clear()
            if self._over:
                return
            asked_at = lease_clock()
            if asked_at - self._turned_at >= STALLED_S:
                continue
            try:
                self.last = self._beat()
            except (RedisError, OSError) as error:
                self.last = Beat(asked_at, lease_clock(), trouble=self.meaning(error))
            self.heard()

    def _beat(self) -> Beat:
        """One beat. Raises redis-py's errors."""
        asked_at = lease_clock()
        worker = structs.replace(self._worker, health=self.health)
        _, run_id, identity = self._redis.execute_command(
            "EVAL",
            BEAT.body,
            len(self._keys),
            *self._keys,
            worker.owner,
            details_of(worker),
            self._identity,
            PROTOCOL if self._identity else "",
        )
        self._beaten_at = asked_at
        self._identity = identity
        try:
            policy = self._redis.config_get("maxmemory-policy").get("maxmemory-policy", "noeviction")
        except ResponseError:
            # It does not tell its settings; that is said once, at the start.
            policy = "noeviction"
        trouble = may_evict(policy) if policy != "noeviction" else None
        return Beat(asked_at, lease_clock(), run_id.decode(), trouble)

    def meaning(self, error: Exception) -> "MailerError":
        """What an error of the queue server means to a person."""
        if str(error).startswith("OTHERLEDGER"):
            return other_ledger(self._prefix, is_gone=str(error).endswith("gone"))
        return meaning(self._shown_url, error)

    async def _turn(self) -> None:
        while True:
            self._turned_at = lease_clock()
            await asyncio.sleep(1.0)
