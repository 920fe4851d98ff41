"""The heartbeat of a worker process: a thread, so that a busy event loop does not lose its lease.

Each beat is also the look at the queue server that arq does not take: it writes, it asks which start of the server
this is, whether it may evict and whether the do-not-send list is there, and it goes through only in the ledger that was
there at the first one.

Between two beats it sees within a tenth of a second when the server hangs up, as one does that is started again. From
then on it beats ten times a second: the others wait for what this worker remembers.
"""

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from msgspec import structs
from redis import Redis, RedisError
from redis.exceptions import NoScriptError, ResponseError

from mailer.backends.redis.connection import AWAY, may_evict, meaning
from mailer.backends.redis.fleet import HEALTHY, Worker, details_of
from mailer.backends.redis.gate import beat_s
from mailer.backends.redis.identity import other_ledger
from mailer.backends.redis.keys import PROTOCOL
from mailer.backends.redis.scripts import BEAT
from mailer.backends.redis.suppression import LISTED, list_lost
from mailer.config.redis_url import redact

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailer.backends.redis.keys import Keys
    from mailer.backends.redis.scripts import Script
    from mailer.vocabulary.errors import MailerError

GLANCE_S = 0.1
"""Between two looks whether the server has hung up."""
AGAIN_S = 0.1
"""Between two beats while the server is away."""
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
        self._redis: Any = None
        self._url = url
        self._shown_url = redact(url)
        self._prefix = keys.prefix
        self._keys = [keys.workers, keys.worker_details, keys.identity, keys.schema]
        self._suppressed = keys.suppressed
        self._worker = worker
        self._lease_s = lease_s
        self._identity = b""
        self._beaten_at = 0.0
        self._turned_at = lease_clock()
        self._wake = threading.Event()
        self._is_connected = False
        self._over = False
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._turning: asyncio.Task[None] | None = None
        self.last = Beat(0.0, 0.0)
        self.heard: Callable[[], object] = lambda: None
        """Called in the heartbeat's thread after each beat."""
        self.health = HEALTHY
        """What the next beat tells the others about this worker."""

    async def __aenter__(self) -> "Heartbeat":
        # However long the server takes to answer, the loop goes on.
        self.last = await asyncio.to_thread(self._first)
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

    def _first(self) -> Beat:
        """Connect, and beat for the first time. Raises redis-py's errors."""
        # redis-py verifies the host name only where it is told to.
        verified: dict[str, Any] = {"ssl_check_hostname": True} if self._url.startswith("rediss://") else {}
        self._redis = Redis.from_url(
            self._url, socket_connect_timeout=5, socket_timeout=5, single_connection_client=True, **verified
        )
        return self._beat()

    def _run(self) -> None:
        rest_s = beat_s(self._lease_s)
        while True:
            self._rest(rest_s)
            self._wake.clear()
            if self._over:
                return
            asked_at = lease_clock()
            if asked_at - self._turned_at >= STALLED_S:
                continue
            rest_s = beat_s(self._lease_s)
            try:
                self.last = self._beat()
            except (RedisError, OSError) as error:
                trouble = self.meaning(error)
                self.last = Beat(asked_at, lease_clock(), trouble=trouble)
                if trouble.code == AWAY:
                    self._is_connected = False
                    rest_s = min(AGAIN_S, rest_s)
            self.heard()

    def _rest(self, seconds: float) -> None:
        """Until the next beat: so long, or until somebody is in a hurry, or the server hangs up."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._wake.wait(min(GLANCE_S, left)):
            if self._has_hung_up():
                return

    def _has_hung_up(self) -> bool:
        """True once for a connection that has ended."""
        if self._is_connected:
            try:
                self._redis.connection.can_read(0)
            except (RedisError, OSError):
                self._is_connected = False
                self._redis.connection.disconnect()
                return True
        return False

    def _beat(self) -> Beat:
        """One beat. Raises redis-py's errors."""
        asked_at = lease_clock()
        worker = structs.replace(self._worker, health=self.health)
        words = (worker.owner, details_of(worker), self._identity, PROTOCOL if self._identity else "")
        _, run_id, identity = self._call(BEAT, self._keys, *words)
        self._beaten_at = asked_at
        self._is_connected = True
        self._identity = identity
        try:
            policy = self._redis.config_get("maxmemory-policy").get("maxmemory-policy", "noeviction")
        except ResponseError:
            # It does not tell its settings; that is said once, at the start.
            policy = "noeviction"
        trouble = may_evict(policy) if policy != "noeviction" else self._missing()
        return Beat(asked_at, lease_clock(), run_id.decode(), trouble)

    def _missing(self) -> "MailerError | None":
        """The trouble that the do-not-send list is lost, if it is."""
        return None if self._call(LISTED, [self._suppressed]) else list_lost(self._suppressed)

    def _call(self, script: "Script", keys: list[str], *words: str | bytes | int) -> Any:
        """Run a script as the others are asked for: a beat that goes through must not hide that they are forbidden."""
        try:
            return self._redis.execute_command("EVALSHA", script.sha, len(keys), *keys, *words)
        except NoScriptError:
            return self._redis.execute_command("EVAL", script.body, len(keys), *keys, *words)

    def meaning(self, error: Exception) -> "MailerError":
        """What an error of the queue server means to a person."""
        if str(error).startswith("OTHERLEDGER"):
            return other_ledger(self._prefix, is_gone=str(error).endswith("gone"))
        return meaning(self._shown_url, error)

    async def _turn(self) -> None:
        while True:
            self._turned_at = lease_clock()
            await asyncio.sleep(1.0)
