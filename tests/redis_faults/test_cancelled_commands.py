"""Commands that are cancelled while their replies are on the way: nobody gets the reply of another."""

import asyncio
import random

from mailer.backends.redis.connection import connect
from tests.faults.proxy import Proxy
from tests.redis_faults.servers import FaultyServer, free_ports
from tests.servers import until

CANCELS = 1000


async def test_no_reply_is_mixed_up_by_a_thousand_cancelled_commands(server: FaultyServer) -> None:
    rng = random.Random(1)
    (port,) = free_ports(1)
    server.say("CONFIG", "SET", "port", port)
    cancelled = answered = 0
    async with Proxy(port) as line:
        redis = connect(f"redis://127.0.0.1:{line.listens_on}")
        try:

            async def ask(number: int) -> None:
                key, value = f"k{number}", b"%d" % number
                await redis.set(key, number)
                assert await redis.get(key) == value
                async with redis.pipeline(transaction=bool(number % 2)) as pipe:
                    pipe.get(key)
                    pipe.strlen(key)
                    assert await pipe.execute() == [value, len(value)]
                assert await redis.eval("return ARGV[1]", 0, number) == value

            await ask(0)
            line.down.delay_s = 0.002
            number = 0
            while cancelled < CANCELS:
                tasks = []
                for _ in range(20):
                    number += 1
                    tasks.append(asyncio.create_task(ask(number)))
                for task in tasks:
                    asyncio.get_running_loop().call_later(rng.uniform(0, 0.03), task.cancel)
                for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                    assert outcome is None or isinstance(outcome, asyncio.CancelledError), outcome
                    cancelled += outcome is not None
                    answered += outcome is None
                await ask(number)
        finally:
            await redis.aclose()
    assert cancelled >= CANCELS


async def test_a_client_that_is_closed_leaves_no_connection_behind(server: FaultyServer) -> None:
    """Neither of those who were connecting at that moment, nor of those who try again."""
    (port,) = free_ports(1)
    server.say("CONFIG", "SET", "port", port)
    async with Proxy(port) as line:
        line.down.delay_s = 0.05
        redis = connect(f"redis://127.0.0.1:{line.listens_on}")
        asking = [asyncio.create_task(redis.get("k")) for _ in range(5)]
        await until(lambda: len(line.connections) > 0)
        await redis.aclose()
        await asyncio.gather(*asking, return_exceptions=True)
        # The administrator, who asks.
        await until(lambda: server.say("INFO", "clients")["connected_clients"] == 1)
