"""Reading the queue: arq's reader is kept running, and woken when something is enqueued."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import structlog
from redis.exceptions import NoPermissionError, RedisError
from redis.exceptions import TimeoutError as SilenceError

from mailer.backends.redis.jobs import hear, reader_pool, worker_settings
from mailer.worker.ending import cancelled
from mailer.worker.queue_reader import QueueReader

if TYPE_CHECKING:
    from mailer.config.orders import Orders

CHUNKS_AT_ONCE = 6
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 1.0
"""Between two readers: one that ends at once, again and again, must not keep the machine busy."""
STEADY_S = 10.0
"""A reader that has lived so long did not end at once."""
LISTEN_AGAIN_S = 0.2

log = structlog.get_logger("mailer.worker")

Work = Callable[[dict[str, Any], str, int], Awaitable[None]]


class Reading:
    """`run` it in a task. `lost` is called when the queue server has gone away."""

    def __init__(self, orders: "Orders", queue: str, work: Work, lost: Callable[[], object]) -> None:
        self._orders = orders
        self._queue = queue
        self._work = work
        self._lost = lost
        self._reader: QueueReader | None = None
        self._is_over = False

    def stop(self) -> None:
        """Take no more jobs."""
        self._is_over = True
        if self._reader is not None:
            self._reader.allow_pick_jobs = False

    @property
    def running(self) -> list["asyncio.Task[Any]"]:
        """arq's tasks of the jobs that run."""
        return self._reader.running if self._reader is not None else []

    @property
    def ours(self) -> list["asyncio.Task[Any]"]:
        """Our own tasks within them: arq's hand on only the first time they are cancelled."""
        return list(self._reader.job_tasks.values()) if self._reader is not None else []

    async def run(self) -> None:
        """Keep arq's reader running until cancelled: it ends itself when Redis goes away."""
        settings = worker_settings(
            self._orders.queue_url,
            self._queue,
            self._work,
            chunks_at_once=CHUNKS_AT_ONCE,
            wait_s=int(self._orders.grace_s),
        )
        listening = asyncio.create_task(self._listen())
        pause = SHORTEST_PAUSE_S / 2
        try:
            while True:
                pool = reader_pool(self._orders.queue_url, self._queue)
                self._reader = QueueReader(**settings, redis_pool=pool, handle_signals=False)
                self._reader.allow_pick_jobs = not self._is_over
                began = time.monotonic()
                try:
                    await self._read(self._reader)
                finally:
                    await pool.aclose(close_connection_pool=True)
                pause = SHORTEST_PAUSE_S if time.monotonic() - began > STEADY_S else min(LONGEST_PAUSE_S, pause * 2)
                await asyncio.sleep(pause)
        finally:
            await cancelled(listening)

    async def _read(self, reader: QueueReader) -> None:
        try:
            await reader.async_run()
        except (RedisError, OSError) as error:
            log.warning("the queue server is away", cause=str(error) or type(error).__name__)
        except Exception:
            # Whatever stands in the queue, a worker that no longer reads it must not look alive.
            log.exception("the queue cannot be read")
        if running := reader.running:
            # They go on by themselves; a new reader must not start while they hold their chunks.
            await asyncio.wait(running)

    async def _listen(self) -> None:
        """Hear the bell. Without it the reader looks by itself, twenty times a second."""
        while True:
            try:
                await hear(self._orders.queue_url, self._queue, self._ring)
            except NoPermissionError as error:
                log.info("nobody rings when something is enqueued", cause=str(error))
                return
            except SilenceError:
                continue
            except (RedisError, OSError):
                self._lost()
                await asyncio.sleep(LISTEN_AGAIN_S)

    def _ring(self) -> None:
        if self._reader is not None:
            self._reader.ring()
