"""arq's queue reader, woken by whoever enqueues, and not to be stopped by what somebody plants in the queue."""

import asyncio
from contextlib import suppress
from typing import Any

import structlog
from arq.constants import in_progress_key_prefix, job_key_prefix, retry_key_prefix
from arq.worker import Worker as ArqWorker
from redis.exceptions import RedisError, ResponseError

POLL_S = 0.05
"""Seconds between two looks at the queue when nobody rings."""
LEAST_S = 0.01
"""Seconds between two looks at least, however often it rings: a producer rings with every chunk."""
SHOWN = 60
"""How much of what is no job is shown in the log."""

log = structlog.get_logger("mailer.worker")


class QueueReader(ArqWorker):
    """Takes arq's settings. `ring` makes it look at the queue at once instead of at its next turn.

    What is no job of ours is taken out of the queue and counted in `quarantined`: arq itself ends at a member that is
    not UTF-8, and with it everything that stands behind.
    """

    def __init__(self, **settings: Any) -> None:
        # The pause between two looks is made here, where it can be cut short.
        super().__init__(**settings | {"poll_delay": 0})
        self._rung = asyncio.Event()
        self.quarantined = 0

    def ring(self) -> None:
        """There may be something in the queue."""
        self._rung.set()

    @property
    def running(self) -> list["asyncio.Task[Any]"]:
        """arq's tasks of the jobs that run."""
        return [task for task in self.tasks.values() if not task.done()]

    async def _poll_iteration(self) -> None:
        """One look, and the pause after it."""
        begun_at = self.loop.time()
        self._rung.clear()
        try:
            await super()._poll_iteration()
        except ResponseError as error:
            if not _is_wrong_type(error):
                raise
            # The reconciler makes jobs anew for whatever is open.
            await self.pool.rename(self.queue_name, f"{self.queue_name}:garbage")
            self._count("the whole queue", 1)
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await self._rung.wait()
        await asyncio.sleep(max(0.0, begun_at + LEAST_S - self.loop.time()))

    async def start_jobs(self, job_ids: list[bytes]) -> None:
        """Begin those that nobody works on; those that this worker runs already cost no round trip."""
        # A pipeline that is cancelled amid WATCH keeps its connection: whoever ends the reader waits for it.
        beginning = asyncio.ensure_future(self._begin(job_ids))
        try:
            await asyncio.shield(beginning)
        except asyncio.CancelledError:
            await asyncio.wait([beginning], timeout=1.0)
            beginning.cancel()
            await asyncio.wait([beginning])
            raise

    async def _begin(self, job_ids: list[bytes]) -> None:
        jobs, garbage = told_apart(job_ids)
        if garbage:
            await self.pool.zrem(self.queue_name, *garbage)
            self._count(repr(garbage[0]), len(garbage))
        running = {job_id.encode() for job_id, task in self.tasks.items() if not task.done()}
        await super().start_jobs([job_id for job_id in jobs if job_id not in running])

    async def run_job(self, job_id: str, score: int) -> None:
        """Run one job. What arq cannot even begin is removed; its chunk gets a new job from the reconciler."""
        try:
            await super().run_job(job_id, score)
        except (RedisError, OSError) as error:
            if not _is_wrong_type(error):
                raise
            await self._remove(job_id)
        except Exception:
            log.exception("arq cannot run a job", job=job_id[:SHOWN])
            await self._remove(job_id)

    async def _remove(self, job_id: str) -> None:
        async with self.pool.pipeline(transaction=True) as pipe:
            pipe.zrem(self.queue_name, job_id)
            pipe.delete(*(prefix + job_id for prefix in (job_key_prefix, retry_key_prefix, in_progress_key_prefix)))
            await pipe.execute()
        self._count(repr(job_id), 1)

    def _count(self, what: str, count: int) -> None:
        self.quarantined += count
        log.warning("what is no job was taken out of the queue", first=what[:SHOWN], now=count, so_far=self.quarantined)


def told_apart(members: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Members of the queue that may be ids of jobs, and those that arq would end at."""
    jobs, garbage = [], []
    for member in members:
        try:
            member.decode()
        except UnicodeDecodeError:
            garbage.append(member)
        else:
            jobs.append(member)
    return jobs, garbage


def _is_wrong_type(error: Exception) -> bool:
    """True for what the content of a key makes wrong, False for a server that is away or refuses."""
    return isinstance(error, ResponseError) and any(words in str(error) for words in ("WRONGTYPE", "not an integer"))
