"""Worker processes in the loop of a test, and what they say."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import structlog.testing

from mailer.backends.redis.ledgers import Ledgers
from mailer.config.orders import Orders, write_orders
from mailer.vocabulary.campaign import CampaignState
from mailer.worker.process import WorkerProcess
from tests.worker.relays import orders

ROOT = Path(__file__).parents[2]

Logs = list[MutableMapping[str, Any]]


@asynccontextmanager
async def at_work(ledgers: Ledgers, count: int = 1, **changes: Any) -> AsyncIterator[list[WorkerProcess]]:
    """So many workers that run until the end of the block, where they drain."""
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(WorkerProcess(orders(ledgers, **changes))) for _ in range(count)]
        working = [asyncio.create_task(worker.run()) for worker in workers]
        try:
            yield workers
        finally:
            for worker in workers:
                worker.stop()
            await asyncio.gather(*working)


async def finished(ledgers: Ledgers, campaign_id: str) -> bool:
    return (await ledgers.reading.status(campaign_id)).state is CampaignState.FINISHED


@asynccontextmanager
async def logged() -> AsyncIterator[Logs]:
    """What is logged until the end of the block."""
    with structlog.testing.capture_logs() as lines:
        yield lines


def troubles(lines: Logs) -> list[str]:
    """The codes of the troubles that were said aloud, in order."""
    return [line["code"] for line in lines if line["event"] == "nothing is claimed" and line["log_level"] == "error"]


def recoveries(lines: Logs) -> int:
    """How often a worker said that it goes on."""
    return sum(line["event"] == "claiming again" for line in lines)


class Process:
    """A worker in a process of its own, which may be killed."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self.child = child

    async def kill(self) -> None:
        """End it as the kernel does that has no memory left, and wait until it is gone."""
        if self.child.returncode is None:
            self.child.kill()
        await self.child.wait()


@asynccontextmanager
async def process_of(told: Orders) -> AsyncIterator[Process]:
    """A worker process with these orders; what is left of it is killed at the end of the block."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "mailer.worker"),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    worker = Process(child)
    try:
        assert child.stdin is not None
        child.stdin.write(write_orders(told))
        yield worker
    finally:
        await worker.kill()
