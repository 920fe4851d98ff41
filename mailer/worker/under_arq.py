"""A worker whose process belongs to arq's command: it heeds signals and ends as `mailer worker` does.

arq calls `start`, `work` and `stop`. On a signal arq itself would let every chunk run on until its grace is over, and
cancel what is then in a body; and it would end with 0 whatever has happened.
"""

import asyncio
import signal
import sys
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from redis.exceptions import RedisError

from mailer.vocabulary.errors import STOPPED_WAITING, MailerError
from mailer.worker.draining import drained
from mailer.worker.ending import cancelled
from mailer.worker.process import LAST_WORDS_S, WorkerProcess
from mailer.worker.queue_reader import SHOWN, told_apart

if TYPE_CHECKING:
    from mailer.config.orders import Orders

INTERRUPTED = 130

log = structlog.get_logger("mailer.worker")


class UnderArq:
    """One for the process."""

    def __init__(self, orders: "Orders") -> None:
        self._orders = orders
        self._process: WorkerProcess | None = None
        self._stack = AsyncExitStack()
        self._main: asyncio.Task[Any] | None = None
        self._chunks: set[asyncio.Task[Any]] = set()
        self._ending: asyncio.Task[None] | None = None
        self._signals: list[int] = []
        self._now = asyncio.Event()

    async def start(self, ctx: dict[str, Any]) -> None:
        """arq's `on_startup`. Raises SystemExit when this worker cannot start, and has said why."""
        self._main = asyncio.current_task()
        _guard(ctx["redis"])
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            # In place of arq's own, which know nothing of what is on the wire. Before the first heartbeat: from then on
            # others count on this worker.
            loop.add_signal_handler(number, self._hear, number)
        process = WorkerProcess(self._orders)
        try:
            self._process = await self._stack.enter_async_context(process)
        except MailerError as error:
            raise SystemExit(complain(error)) from None
        process.heal()
        watching = asyncio.create_task(self._end_when_gone(process))
        self._stack.push_async_callback(partial(cancelled, watching))
        if self._signals:
            self._end(at_once=False)

    async def work(self, ctx: dict[str, Any], campaign_id: str, chunk: int) -> None:
        """arq's one function."""
        task = asyncio.current_task()
        if self._process is None or task is None:
            return
        self._chunks.add(task)
        try:
            if self._ending is not None:
                # A job that ends is gone. One that is cancelled stays in the queue, for another worker to take at once.
                await asyncio.Event().wait()
            await self._process.work(ctx, campaign_id, chunk)
        finally:
            self._chunks.discard(task)

    async def stop(self, ctx: dict[str, Any]) -> None:
        """arq's `on_shutdown`. Raises SystemExit with the exit code, where that is not 0."""
        if self._process is None:
            return
        try:
            code = await self._exit_code(self._process)
        finally:
            await self._stack.aclose()
        try:
            self._process.check()
        except MailerError as error:
            code = complain(error)
        if code:
            raise SystemExit(code)

    def _hear(self, number: int) -> None:
        self._signals.append(number)
        self._end(at_once=len(self._signals) > 1)

    async def _end_when_gone(self, process: WorkerProcess) -> None:
        await process.gone()
        self._end(at_once=True)

    def _end(self, *, at_once: bool) -> None:
        """Finish what is on the wire, or not even that; give the rest back."""
        if at_once:
            self._now.set()
        if self._process is not None and self._ending is None:
            self._process.stop()
            self._ending = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        await drained(list(self._chunks), self._now, grace_s=self._orders.grace_s, last_words_s=LAST_WORDS_S)
        for task in self._chunks:
            task.cancel()
        if self._main is not None:
            self._main.cancel()

    async def _exit_code(self, process: WorkerProcess) -> int:
        if not self._signals:
            return 0
        if signal.SIGINT in self._signals or len(self._signals) > 1:
            return INTERRUPTED
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                return 0 if await process.campaigns.is_idle() else STOPPED_WAITING
        return STOPPED_WAITING


def _guard(queue: Any) -> None:
    """Keep from arq's own reader, which reads the queue through this client, what it would end at."""
    read = queue.zrangebyscore

    async def read_jobs(name: str, *arguments: Any, **options: Any) -> list[bytes]:
        jobs, garbage = told_apart(await read(name, *arguments, **options))
        if garbage:
            await queue.zrem(name, *garbage)
            log.warning("what is no job was taken out of the queue", first=repr(garbage[0])[:SHOWN], now=len(garbage))
        return jobs

    queue.zrangebyscore = read_jobs


def complain(error: MailerError) -> int:
    """Say an error as the commands do. Returns the exit code."""
    print(f"error[{error.code}]: {error.message}", file=sys.stderr)
    for detail in (error.where, error.why, f"fix: {error.hint}" if error.hint else None, error.safe):
        if detail:
            print(f"  {detail}", file=sys.stderr)
    print(f"  more: mailer explain {error.code}", file=sys.stderr, flush=True)
    return error.exit_code
