"""The first heartbeat of a worker waits for a slow queue server; the event loop of the worker does not."""

import asyncio

from mailer.backends.redis.fleet import Worker, new_owner
from mailer.backends.redis.keys import Keys
from mailer.worker.heartbeat import Heartbeat
from tests.redis_faults.servers import FaultyServer

PAUSE_MS = 500


async def test_the_loop_turns_while_the_first_beat_waits_for_its_answer(server: FaultyServer) -> None:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    worker = Worker(owner=new_owner(), host="here", pid=1, version="1")
    heartbeat = Heartbeat(server.url, Keys("t"), worker, 10)
    server.say("CLIENT", "PAUSE", PAUSE_MS, "ALL")
    turning = asyncio.create_task(turn())
    async with heartbeat:
        assert heartbeat.last.run_id
        assert heartbeat.last.answered_at - heartbeat.last.asked_at < 5
        during = turns
        turning.cancel()
    assert during > 50
