"""The queue server goes away and comes back: workers wait for it, are there at once, and none of them ends."""

import asyncio
import time
from functools import partial
from pathlib import Path

import pytest
from redis import Redis, exceptions

from mailer.backends.redis.connection import meaning
from mailer.backends.redis.fleet import BEAT_S
from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from tests.redis_faults.workers import Logs, at_work, finished, logged, recoveries, troubles
from tests.servers import OwnServer, until
from tests.worker.relays import capture, submit, taken_twice


async def beaten_since(ledgers: Ledgers, since_ms: int) -> int:
    """Workers that have beaten since then."""
    return sum(worker.beat_ms >= since_ms for worker in await ledgers.fleet.known())


async def test_every_worker_beats_soon_after_the_server_is_back(own_server: OwnServer) -> None:
    """Others wait for what a worker remembers: with a lease of a minute its next turn would be two seconds away."""
    async with open_ledgers(own_server.url, prefix="t", lease_s=60) as ledgers, at_work(ledgers, 3, lease_s=60.0):
        for _ in range(3):
            own_server.kill()
            await asyncio.to_thread(own_server.start)
            back_ms = int(time.time() * 1000)
            await until(partial(_all_have, ledgers, back_ms), within=BEAT_S / 2)


async def _all_have(ledgers: Ledgers, since_ms: int) -> bool:
    return await beaten_since(ledgers, since_ms) == 3


async def test_a_connection_that_is_closed_is_no_trouble(own_server: OwnServer) -> None:
    """An administrator, or something on the way, ends a connection: the worker makes another, and nothing is said."""
    async with open_ledgers(own_server.url, prefix="t", lease_s=60) as ledgers:
        async with logged() as logs, at_work(ledgers, lease_s=60.0):
            since_ms = int(time.time() * 1000)
            with Redis.from_url(own_server.url) as redis:
                redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await until(lambda: _one_has(ledgers, since_ms), within=1.0)
        assert troubles(logs) == []


async def _one_has(ledgers: Ledgers, since_ms: int) -> bool:
    return await beaten_since(ledgers, since_ms) == 1


@pytest.mark.thorough
async def test_an_idle_worker_outlives_one_restart_after_the_other(own_server: OwnServer, tmp_path: Path) -> None:
    """It neither ends nor goes deaf, and says each trouble once."""
    async with open_ledgers(own_server.url, prefix="t", lease_s=1) as ledgers, capture(tmp_path) as relay:
        async with logged() as logs, at_work(ledgers):
            for turn in range(1, 9):
                own_server.kill()
                await asyncio.to_thread(own_server.start)
                await until(partial(_has_recovered, logs, turn))
            assert len(troubles(logs)) <= 8
            campaign = await submit(ledgers, relay, ["a@x.test", "b@x.test"])
            await until(lambda: finished(ledgers, campaign.id))
        assert relay.mailbox.accepted == 2


def _has_recovered(logs: Logs, times: int) -> bool:
    return recoveries(logs) == times


@pytest.mark.thorough
async def test_workers_that_get_no_connection_wait_for_one(own_server: OwnServer, tmp_path: Path) -> None:
    """The server's limit is reached amid a campaign: nobody ends, nobody is sent to twice, all is sent."""
    async with open_ledgers(own_server.url, prefix="t", lease_s=5) as ledgers, capture(tmp_path) as relay:
        people = [f"slow+30ms-{row}@x.test" for row in range(60)]
        campaign = await submit(ledgers, relay, people, connections=2, chunk=5)
        async with at_work(ledgers, 3, lease_s=5.0):
            await until(lambda: relay.mailbox.accepted >= 10)
            with Redis.from_url(own_server.url) as administrator:
                administrator.config_set("maxclients", 6)
                administrator.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                administrator.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
                await asyncio.sleep(1.0)
                administrator.config_set("maxclients", 1000)
            await until(lambda: finished(ledgers, campaign.id), within=40)
        status = await ledgers.reading.status(campaign.id)
    assert (status.totals.sent, status.totals.in_doubt) == (60, 0)
    assert not taken_twice(relay)


def test_a_server_that_is_full_is_called_by_its_name() -> None:
    """Not as one that is not there."""
    error = meaning("redis://q.test", exceptions.ConnectionError("max number of clients reached"))
    assert (error.code, error.exit_code, error.retryable) == ("E501", 4, True)
    assert "maxclients" in error.message
    assert "maxclients" in (error.hint or "")
