"""An idle worker is woken by whoever enqueues, and looks by itself where nobody may ring."""

import asyncio
from functools import partial
from pathlib import Path

import pytest
from redis import Redis

from mailer.backends.redis.jobs import bell_of
from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from mailer.worker import queue_reader
from tests.redis_faults.workers import at_work, finished
from tests.servers import OwnServer, until
from tests.worker.relays import capture, orders, submit


async def listeners(ledgers: Ledgers) -> int:
    """How many hear the bell."""
    (_, count) = await ledgers.redis.eval(
        "return redis.call('PUBSUB', 'NUMSUB', ARGV[1])", 0, bell_of(ledgers.keys.queue)
    )
    return int(count)


async def all_listen(ledgers: Ledgers, count: int) -> bool:
    return await listeners(ledgers) == count


async def test_a_worker_that_hardly_ever_looks_is_woken_by_whoever_enqueues(
    ledgers: Ledgers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message does not wait for the worker's next turn."""
    monkeypatch.setattr(queue_reader, "POLL_S", 60.0)
    async with capture(tmp_path) as relay, at_work(ledgers, 2):
        await until(lambda: all_listen(ledgers, 2))
        for row in range(3):
            campaign = await submit(ledgers, relay, [f"p{row}@x.test"])
            await until(partial(finished, ledgers, campaign.id), within=5)
        assert relay.mailbox.accepted == 3


async def test_nobody_listens_any_more_when_the_worker_has_ended(ledgers: Ledgers) -> None:
    """A worker takes its second connection with it."""
    async with at_work(ledgers):
        await until(lambda: all_listen(ledgers, 1))
    await until(lambda: all_listen(ledgers, 0))


async def test_where_nobody_may_ring_workers_look_by_themselves(own_server: OwnServer, tmp_path: Path) -> None:
    """A careful operator's access list may lack the channels."""
    with Redis.from_url(own_server.url) as redis:
        redis.execute_command("ACL", "SETUSER", "default", "resetchannels", "-subscribe", "-publish")
    async with (
        open_ledgers(own_server.url, prefix="t", lease_s=1) as ledgers,
        capture(tmp_path) as relay,
        at_work(ledgers),
    ):
        campaign = await submit(ledgers, relay, ["a@x.test"])
        await until(lambda: finished(ledgers, campaign.id))
        assert await listeners(ledgers) == 0


async def test_a_bell_that_never_stops_does_not_make_a_worker_look_all_the_time(ledgers: Ledgers) -> None:
    """A producer rings with every chunk."""
    looks = 0

    class Counting(queue_reader.QueueReader):
        async def start_jobs(self, job_ids: list[bytes]) -> None:
            nonlocal looks
            looks += 1

    from mailer.backends.redis.jobs import reader_pool, worker_settings

    async def nothing(*_: object) -> None: ...

    told = orders(ledgers)
    settings = worker_settings(told.queue_url, ledgers.keys.queue, nothing, chunks_at_once=2, wait_s=1)
    pool = reader_pool(told.queue_url, ledgers.keys.queue)
    reader = Counting(**settings, redis_pool=pool, handle_signals=False)
    reading = asyncio.create_task(reader.async_run())
    begun_at = asyncio.get_running_loop().time()
    for _ in range(200):
        reader.ring()
        await asyncio.sleep(0.001)
    took_s = asyncio.get_running_loop().time() - begun_at
    reading.cancel()
    await asyncio.wait([reading])
    await pool.aclose(close_connection_pool=True)
    assert 2 <= looks <= took_s / queue_reader.LEAST_S + 2
