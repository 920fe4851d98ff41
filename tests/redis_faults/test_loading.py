"""A queue server that is there and still reads its data."""

import asyncio
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import BusyLoadingError
from redis.exceptions import ConnectionError as Away

from mailer.backends.redis.ledgers import open_ledgers
from tests.operator.recount import sound
from tests.redis_faults.servers import FaultyServer
from tests.redis_faults.workers import at_work, finished, logged, recoveries, troubles
from tests.servers import until
from tests.worker.relays import capture, submit, taken_twice

DELAY_US = 4000


def is_loading(server: FaultyServer) -> bool:
    with Redis.from_url(server.url) as redis:
        try:
            redis.get("x")
        except BusyLoadingError:
            return True
        except Away:
            return False
    raise AssertionError("it has read everything already")


async def test_a_worker_waits_at_its_start_for_a_server_that_reads_its_data(
    server: FaultyServer, tmp_path: Path
) -> None:
    async with open_ledgers(server.url, prefix="t", lease_s=1) as ledgers, capture(tmp_path) as relay:
        campaign = await submit(ledgers, relay, [f"p{row}@x.test" for row in range(40)], chunk=1)
        server.compact()
        server.kill()
        server.start_slowly(DELAY_US)
        await until(lambda: is_loading(server))
        async with at_work(ledgers):
            await until(lambda: finished(ledgers, campaign.id))
        assert (await sound(ledgers, campaign)).totals.sent == 40


@pytest.mark.thorough
async def test_a_server_that_reads_its_data_after_a_restart_is_waited_for(server: FaultyServer, tmp_path: Path) -> None:
    async with open_ledgers(server.url, prefix="t", lease_s=1) as ledgers, capture(tmp_path) as relay:
        people = [f"slow+20ms-{row}@x.test" for row in range(80)]
        campaign = await submit(ledgers, relay, people, connections=2, chunk=2)
        async with logged() as logs, at_work(ledgers):
            await until(lambda: relay.mailbox.accepted >= 20)
            await asyncio.to_thread(server.compact)
            server.kill()
            server.start_slowly(DELAY_US)
            await until(lambda: is_loading(server))
            await until(lambda: recoveries(logs) >= 1, within=20)
            await until(lambda: finished(ledgers, campaign.id), within=20)
            assert set(troubles(logs)) == {"E501"}
        assert (await sound(ledgers, campaign)).totals.sent == 80
    assert not taken_twice(relay)
