"""The connection to the queue server: what it promises beyond redis-py."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from mailer.backends.redis.ledgers import Ledgers
from mailer.backends.redis.server import Server


async def one_by_one(redis: Server) -> None:
    await redis.get("nothing")


async def many_at_once(redis: Server) -> None:
    async with redis.pipeline(transaction=True) as pipe:
        pipe.get("nothing")
        await pipe.execute()


@pytest.mark.parametrize("ask", [one_by_one, many_at_once])
async def test_a_task_that_is_cancelled_amid_a_command_ends(
    ledgers: Ledgers, ask: Callable[[Server], Awaitable[None]]
) -> None:
    async def asking() -> None:
        while True:
            await ask(ledgers.redis)

    for turns in range(300):
        task = asyncio.create_task(asking())
        for _ in range(turns % 50):
            await asyncio.sleep(0)
        task.cancel()
        _, unheard = await asyncio.wait([task], timeout=1.0)
        task.cancel()
        assert not unheard
