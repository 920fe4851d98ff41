"""A worker process: heartbeat, reconciler, arq's queue reader and the delivery of chunks, put together."""

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from redis.exceptions import RedisError

from mailer import __version__
from mailer.backends.redis.campaigns import Campaigns
from mailer.backends.redis.connection import check_server, connect, explained
from mailer.backends.redis.delivery import RedisDelivery
from mailer.backends.redis.fleet import BEAT_S, Fleet, Worker, host_name, new_owner
from mailer.backends.redis.gate import Gate
from mailer.backends.redis.jobs import Jobs
from mailer.backends.redis.keys import Keys
from mailer.backends.redis.limiter import RedisLimiter
from mailer.backends.redis.reconciler import RedisReconciler
from mailer.backends.redis.recorder import Recorder
from mailer.backends.redis.replay import Replayer
from mailer.config.redis_url import redact
from mailer.failpoints import reached
from mailer.flow.delivery import Delivery
from mailer.worker.draining import drained
from mailer.worker.ending import cancelled
from mailer.worker.heartbeat import Heartbeat
from mailer.worker.reading import Reading
from mailer.worker.routes import Routes
from mailer.worker.watch import Watch

if TYPE_CHECKING:
    from mailer.backends.smtp.transcript import Keep
    from mailer.config.orders import Orders

TICK_S = 0.1
PATIENCE = 10
LAST_WORDS_S = 5.0
"""How long a process that must end waits for a queue server that is away."""

log = structlog.get_logger("mailer.worker")

Until = Callable[[], Awaitable[bool]]


class WorkerProcess:
    """Use as an async context manager, then `run`. `stop` drains; `stop_now` cancels what is on the wire.

    Both may be called at any time, also before it has started: then it ends as soon as it has.
    """

    def __init__(self, orders: "Orders", *, transcript: "Keep | None" = None) -> None:
        self.orders = orders
        self.owner = new_owner()
        self.keys = Keys(orders.prefix)
        self.redis = connect(orders.queue_url, patience=PATIENCE)
        self.campaigns = Campaigns(self.redis, self.keys)
        self._jobs = Jobs(self.redis, self.keys, lease_s=orders.lease_s)
        self._fleet = Fleet(self.redis, self.keys, orders.lease_s)
        self._reconciler = RedisReconciler(self.campaigns, self._fleet, self._jobs, self.owner)
        self._routes = Routes(orders, transcript)
        worker = Worker(owner=self.owner, host=host_name(), pid=os.getpid(), version=__version__)
        self._heartbeat = Heartbeat(orders.queue_url, self.keys, worker, orders.lease_s)
        self._recorder = Recorder(self.redis, self.keys, grace_s=LAST_WORDS_S)
        ledger = RedisDelivery(self.campaigns, self._recorder, self._jobs, self.owner, lambda: self._heartbeat.holds)
        replayer = Replayer(self.campaigns, self._recorder, self._jobs, self.owner, ledger.in_hand)
        gate = Gate(self.redis, self.keys, orders.lease_s)
        self._watch = Watch(self.owner, self._heartbeat, gate, replayer, self._recorder, orders.lease_s)
        ledger.door = self._watch
        self._delivery = Delivery(
            ledger,
            self._routes.of,
            f"{worker.host}:{worker.pid}",
            RedisLimiter(self.redis, self.keys),
        )
        self._stack = AsyncExitStack()
        self._over = asyncio.Event()
        self._now = asyncio.Event()
        self._reading = Reading(orders, self.keys.queue, self.work, self._heartbeat.hurry)

    async def __aenter__(self) -> "WorkerProcess":
        with explained(redact(self.orders.queue_url)):
            async with AsyncExitStack() as stack:
                stack.push_async_callback(self.redis.aclose)
                for warning in await self._checked():
                    log.warning(warning)
                stack.push_async_callback(self._leave)
                await stack.enter_async_context(self._heartbeat)
                await stack.enter_async_context(self._recorder)
                await stack.enter_async_context(self._watch)
                stack.push_async_callback(self._routes.close)
                self._stack = stack.pop_all()
        return self

    async def _checked(self) -> list[str]:
        # A client of its own: what is patient with a server that restarts is too patient with a wrong address.
        redis = connect(self.orders.queue_url)
        try:
            return await check_server(redis, self.keys, ledger=self.orders.ledger)
        finally:
            await redis.aclose()

    async def __aexit__(self, *error: Any) -> None:
        await self._stack.aclose()

    async def _leave(self) -> None:
        with suppress(RedisError, OSError):
            async with asyncio.timeout(LAST_WORDS_S):
                await self._fleet.leave(self.owner)

    @property
    def counts(self) -> Counter[str]:
        """Outcomes of this process by state; a recipient tried twice counts twice."""
        return self._delivery.counts

    def stop(self) -> None:
        """Finish the messages in flight, give the rest back, end."""
        self._over.set()
        self._delivery.drain()
        self._reading.stop()

    def stop_now(self) -> None:
        """End at once: what is in a body becomes in doubt, everything else goes back to the queue."""
        self.stop()
        self._now.set()

    async def gone(self) -> None:
        """Wait until the ledger is no more: there is nothing left to do here, and `check` says why."""
        await self._watch.gone.wait()

    def check(self) -> None:
        """Raise what has ended the work, if anything did."""
        self._watch.check()

    def heal(self) -> None:
        """Reconcile until the end; for a process whose queue is read by somebody else."""
        healing = asyncio.create_task(self._reconcile())
        self._stack.push_async_callback(partial(cancelled, healing))

    async def run(self, until: Until | None = None) -> None:
        """Work until stopped, or until `until` says that it is enough (asked ten times a second)."""
        self.heal()
        reader = asyncio.create_task(self._reading.run())
        watching = asyncio.create_task(self._end_when_gone())
        try:
            while not self._over.is_set():
                if until is not None and await self._enough(until):
                    self.stop()
                    break
                with suppress(TimeoutError):
                    async with asyncio.timeout(TICK_S if until is not None else None):
                        await self._over.wait()
            await self._drain()
        finally:
            await cancelled(watching)
            await cancelled(reader)
        self.check()

    async def _end_when_gone(self) -> None:
        """Nothing may be created in a ledger that is not the one that was there, and nothing is left to wait for."""
        await self.gone()
        self.stop_now()

    async def _enough(self, until: Until) -> bool:
        try:
            return await until()
        except (RedisError, OSError):
            return False

    async def _drain(self) -> None:
        """Wait for the chunks that run, as long as the grace allows; then cancel them."""
        reached("in_shutdown")
        running = self._reading.running
        await drained(running, self._now, grace_s=self.orders.grace_s, last_words_s=LAST_WORDS_S)
        if running:
            # Redis is away: whoever cannot end his chunk leaves it to the reconciler. Ours too, for arq's task hands on
            # only the first time it is cancelled.
            for task in [*running, *self._reading.ours]:
                task.cancel()
            await asyncio.wait(running, timeout=LAST_WORDS_S / 5)

    async def work(self, ctx: dict[str, Any], campaign_id: str, chunk: int) -> None:
        """arq's one function. What goes wrong here leaves a chunk without a job, and the reconciler makes a new one."""
        try:
            await self._delivery.work(campaign_id, chunk)
            reached("before_arq_finish")
        except (RedisError, OSError) as error:
            log.warning("chunk put off", campaign=campaign_id, chunk=chunk, cause=str(error) or type(error).__name__)
        except Exception:
            log.exception("chunk put off", campaign=campaign_id, chunk=chunk)

    async def _reconcile(self) -> None:
        """Heal, every two seconds or when a retry is due, if it is our turn."""
        while True:
            rest_s = most_s = min(BEAT_S, self.orders.lease_s)
            try:
                if await self._reconciler.lead():
                    # Nobody is declared dead before Redis has answered for one lease: living workers record first.
                    if self._watch.steady_s >= self.orders.lease_s:
                        await self._reconciler.take_over()
                    await self._reconciler.revive()
                    due_s = await self._reconciler.next_due_s()
                    rest_s = min(most_s, due_s) if due_s is not None else most_s
            except (RedisError, OSError):
                log.debug("cannot reconcile now")
            except Exception:
                log.exception("cannot reconcile")
            await asyncio.sleep(max(0.05, rest_s))
