"""Worker processes in the loop of a test, and what they say."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import structlog.testing

from mailer.backends.redis.ledgers import Ledgers
from mailer.vocabulary.campaign import CampaignState
from mailer.worker.process import WorkerProcess
from tests.worker.relays import orders

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
