"""The AOF-cut model with workers at work: up to a second is lost, and nobody is lost or sent to twice by it."""

import asyncio
import random
import time
from functools import partial
from pathlib import Path

import pytest

from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from tests.operator.recount import sound
from tests.redis_faults.servers import FaultyServer
from tests.redis_faults.workers import Logs, at_work, finished, logged, recoveries, troubles
from tests.servers import until
from tests.worker.relays import capture, submit, taken_twice


class Trail:
    """How long the append-only file was at which time."""

    def __init__(self, server: FaultyServer) -> None:
        self._server = server
        self._sizes: list[tuple[float, int]] = []
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Trail":
        self._sizes.append((time.monotonic(), self._server.written))
        self._task = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(0.01)
            self._sizes.append((time.monotonic(), self._server.written))

    def of_last_second(self) -> tuple[int, int]:
        """The length a second ago, and now."""
        now = time.monotonic()
        return next(size for at, size in self._sizes if at >= now - 1.0), self._server.written


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(6))
async def test_a_power_loss_under_two_workers_loses_nobody_and_sends_nobody_twice(
    server: FaultyServer, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    async with open_ledgers(server.url, prefix="t", lease_s=1) as ledgers, capture(tmp_path) as relay:
        people = [f"slow+{rng.randrange(1, 30)}ms-{row}@x.test" for row in range(150)]
        people += [f"bounce+550-{row}@x.test" for row in range(10)]
        rng.shuffle(people)
        campaign = await submit(ledgers, relay, people, connections=3, chunk=15)
        async with at_work(ledgers, 2), Trail(server) as trail:
            await until(lambda: relay.mailbox.accepted >= rng.randrange(20, 100))
            first, last = trail.of_last_second()
            server.kill()
            server.cut(rng.randrange(first, last + 1))
            await asyncio.to_thread(server.start)
            await until(lambda: finished(ledgers, campaign.id), within=25)
        status = await sound(ledgers, campaign)
    assert (status.totals.sent, status.totals.refused, status.totals.in_doubt) == (150, 10, 0)
    assert relay.mailbox.accepted == 150
    assert not taken_twice(relay)


async def test_a_worker_that_waits_outlives_twenty_restarts_and_says_each_once(
    server: FaultyServer, tmp_path: Path
) -> None:
    async with open_ledgers(server.url, prefix="t", lease_s=0.4) as ledgers, capture(tmp_path) as relay:
        async with logged() as logs, at_work(ledgers, lease_s=0.4) as (worker,):
            for restart in range(1, 21):
                server.kill()
                await until(partial(_said, logs, restart, restart - 1))
                await asyncio.to_thread(server.start)
                await until(partial(_said, logs, restart, restart))
            assert troubles(logs) == ["E501"] * 20
            campaign = await submit(ledgers, relay, ["a@x.test", "b@x.test"])
            await until(lambda: finished(ledgers, campaign.id))
            assert worker.counts == {"sent": 2}
        await sound(ledgers, campaign)


@pytest.mark.parametrize("outage_s", [0.1, 2.5])
async def test_what_the_relay_took_while_the_server_was_away_is_recorded_when_it_is_back(
    server: FaultyServer, tmp_path: Path, outage_s: float
) -> None:
    """An outage may be longer than the lease: nobody is taken for dead because nobody could beat."""
    async with open_ledgers(server.url, prefix="t", lease_s=1) as ledgers, capture(tmp_path) as relay:
        people = [f"slow+400ms-{row}@x.test" for row in range(12)]
        campaign = await submit(ledgers, relay, people, connections=2, chunk=3)
        async with at_work(ledgers, 2):
            await until(lambda: _sending(ledgers, campaign.id))
            server.kill()
            await asyncio.sleep(outage_s)
            assert relay.mailbox.accepted <= 4 + 4, "no new body while nothing can be recorded"
            await asyncio.to_thread(server.start)
            await until(lambda: finished(ledgers, campaign.id), within=20)
        status = await sound(ledgers, campaign)
    assert (status.totals.sent, status.totals.in_doubt) == (12, 0)
    assert not taken_twice(relay)


def _said(logs: Logs, outages: int, ends: int) -> bool:
    return (len(troubles(logs)), recoveries(logs)) == (outages, ends)


async def _sending(ledgers: Ledgers, campaign_id: str) -> bool:
    return (await ledgers.reading.status(campaign_id)).totals.sending >= 2
