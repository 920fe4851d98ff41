"""A queue server whose disk or memory is full: nothing is claimed or accepted, nothing is lost, and it goes on."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from mailer.backends.redis.connection import meaning
from mailer.backends.redis.ledgers import open_ledgers
from tests.flow.submitting import CHUNK, Shop
from tests.operator.recount import sound
from tests.redis_faults.servers import FaultyServer
from tests.redis_faults.workers import at_work, finished, logged, recoveries, troubles
from tests.servers import until
from tests.worker.relays import capture, submit, taken_twice

ENOUGH = 1 << 40


async def test_a_server_that_cannot_write_its_file_stops_the_claims_until_there_is_room(
    server: FaultyServer, tmp_path: Path
) -> None:
    """It has its file written once a second, and answers every change with an error meanwhile."""
    server.kill()
    server.start_on_a_small_disk("everysec")
    async with open_ledgers(server.url, prefix="t", lease_s=1) as ledgers, capture(tmp_path) as relay:
        campaign = await submit(ledgers, relay, [f"slow+50ms-{row}@x.test" for row in range(40)], connections=2)
        async with logged() as logs, at_work(ledgers):
            await until(lambda: relay.mailbox.accepted >= 6)
            server.limit_files(server.written + 100)
            await until(lambda: troubles(logs) == ["E507"])
            (said,) = [line for line in logs if line["event"] == "nothing is claimed"]
            assert "MISCONF" in said["reason"]
            before = relay.mailbox.accepted
            await asyncio.sleep(0.3)
            assert relay.mailbox.accepted <= before + 2
            server.limit_files(ENOUGH)
            await until(lambda: recoveries(logs) == 1)
            await until(lambda: finished(ledgers, campaign.id))
        status = await sound(ledgers, campaign)
    assert (status.totals.sent, status.totals.in_doubt) == (40, 0)
    assert not taken_twice(relay)


async def test_a_server_that_ends_because_its_disk_is_full_is_waited_for(server: FaultyServer, tmp_path: Path) -> None:
    """One that must have everything on disk before it answers ends rather than answer without."""
    server.kill()
    server.start_on_a_small_disk("always")
    async with open_ledgers(server.url, prefix="t", lease_s=1) as ledgers, capture(tmp_path) as relay:
        campaign = await submit(ledgers, relay, [f"slow+50ms-{row}@x.test" for row in range(40)], connections=2)
        async with logged() as logs, at_work(ledgers):
            await until(lambda: relay.mailbox.accepted >= 6)
            server.limit_files(server.written + 100)
            await until(lambda: server.has_ended)
            await until(lambda: troubles(logs)[-1:] == ["E501"])
            before = relay.mailbox.accepted
            await asyncio.sleep(0.3)
            assert relay.mailbox.accepted <= before + 2
            server.start()
            await until(lambda: recoveries(logs) == 1)
            await until(lambda: finished(ledgers, campaign.id))
        status = await sound(ledgers, campaign)
    assert (status.totals.sent, status.totals.in_doubt) == (40, 0)
    assert not taken_twice(relay)


def full_disk(server: FaultyServer) -> None:
    server.limit_files(server.written + 60_000)


def larger_disk(server: FaultyServer) -> None:
    server.limit_files(ENOUGH)


def full_memory(server: FaultyServer) -> None:
    server.say("CONFIG", "SET", "maxmemory", "4mb")


def more_memory(server: FaultyServer) -> None:
    server.say("CONFIG", "SET", "maxmemory", 0)


@pytest.mark.parametrize(
    ("wrong", "right", "words"), [(full_disk, larger_disk, "MISCONF"), (full_memory, more_memory, "maxmemory")]
)
async def test_accepting_into_a_full_server_ends_aloud_with_whole_chunks_and_goes_on_later(
    server: FaultyServer,
    tmp_path: Path,
    wrong: Callable[[FaultyServer], None],
    right: Callable[[FaultyServer], None],
    words: str,
) -> None:
    shop = Shop(tmp_path)
    count = 3000
    noise = random.Random(0)
    rows: list[dict[str, object]] = [
        {"email": f"p{row}@x.test", "name": "N", "city": noise.randbytes(1000).hex()} for row in range(count)
    ]
    people = shop.json_lines(rows)
    server.kill()
    server.start_on_a_small_disk("everysec")
    async with open_ledgers(server.url, prefix="t", lease_s=1) as ledgers:
        wrong(server)
        with pytest.raises(RedisError) as caught:
            await shop.submission(ledgers, people, key="k").run()
        error = meaning(ledgers.url, caught.value)
        assert error.code == "E507"
        assert words in error.message
        (campaign_id,) = await ledgers.campaigns.ids()
        stored = (await ledgers.reading.status(campaign_id)).totals.accepted
        assert 0 < stored < count
        assert stored % CHUNK == 0
        right(server)
        await asyncio.to_thread(server.settle)
        done = await shop.submission(ledgers, people, key="k").run()
        assert done is not None
        assert (done.counts.already, done.counts.new) == (stored, count - stored)
        assert done.status.totals.queued == count
