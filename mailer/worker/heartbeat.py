"""The heartbeat of a worker process: a thread, so that a busy event loop does not lose its lease."""

import asyncio
import threading
import time
from typing import TYPE_CHECKING

import structlog
from redis import Redis, RedisError

from mailer.backends.redis.fleet import BEAT_S, Worker, details_of
from mailer.backends.redis.scripts import BEAT

if TYPE_CHECKING:
    from mailer.backends.redis.keys import Keys

STALLED_S = 1000.0
"""A loop that has not turned for so long is dead, and so is its worker."""

log = structlog.get_logger("mailer.worker")


def lease_clock() -> float:
    """Seconds on a clock that runs on while the machine is suspended, where there is one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Heartbeat:
    """Beats every two seconds while the loop turns. `holds` says whether our own lease is still good."""

    def __init__(self, url: str, keys: "Keys", worker: Worker, lease_s: float) -> None:
        self._redis = Redis.from_url(url, socket_connect_timeout=5, socket_timeout=5)
        self._keys = [keys.workers, keys.worker_details]
        self._worker = worker
        self._lease_s = lease_s
        self._beaten_at = 0.0
        self._turned_at = lease_clock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._turning: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Heartbeat":
        self._beat()
        self._thread.start()
        self._turning = asyncio.create_task(self._turn())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        if self._turning is not None:
            self._turning.cancel()
        await asyncio.to_thread(self._thread.join)
        self._redis.close()

    @property
    def holds(self) -> bool:
        """True while no other worker may think that we are dead."""
        return lease_clock() - self._beaten_at < self._lease_s

    def _run(self) -> None:
        # A short lease bears no fewer beats than a long one.
        while not self._over.wait(min(BEAT_S, self._lease_s / 4)):
            if lease_clock() - self._turned_at < STALLED_S:
                try:
                    self._beat()
                except RedisError:
                    # The recorder says loudly that the server is away; the lease simply runs out.
                    continue

    def _beat(self) -> None:
        asked_at = lease_clock()
        self._redis.execute_command(  # type: ignore[no-untyped-call]
            "EVAL", BEAT.body, len(self._keys), *self._keys, self._worker.owner, details_of(self._worker)
        )
        self._beaten_at = asked_at

    async def _turn(self) -> None:
        while True:
            self._turned_at = lease_clock()
            await asyncio.sleep(1.0)
