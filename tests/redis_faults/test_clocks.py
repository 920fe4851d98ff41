"""Wall clocks that are wrong or jump: leases and due times know only the clock of the queue server."""

import time
from pathlib import Path

import pytest

from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from tests.operator.recount import sound
from tests.redis_faults.servers import FaultyServer
from tests.redis_faults.workers import at_work, finished
from tests.servers import until
from tests.worker.relays import capture, submit, taken_twice

HOUR_S = 3600


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S], ids=["an hour on", "an hour back"])
async def test_a_wall_clock_that_jumps_moves_neither_leases_nor_due_times(
    server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump_s: int
) -> None:
    """Both wall clocks of Python jump, for whoever asks them in this process: producer, workers and reader."""
    seconds, nanoseconds = time.time, time.time_ns
    async with open_ledgers(server.url, prefix="t", lease_s=0.6) as ledgers, capture(tmp_path) as relay:
        people = [f"slow+50ms-{row}@x.test" for row in range(30)]
        campaign = await submit(ledgers, relay, people, connections=2, chunk=5)
        async with at_work(ledgers, 2, lease_s=0.6):
            await until(lambda: relay.mailbox.accepted >= 6)
            monkeypatch.setattr(time, "time", lambda: seconds() + jump_s)
            monkeypatch.setattr(time, "time_ns", lambda: nanoseconds() + jump_s * 10**9)
            await until(lambda: _alive(ledgers))
            await until(lambda: finished(ledgers, campaign.id))
        status = await sound(ledgers, campaign)
    assert (status.totals.sent, status.totals.in_doubt) == (30, 0)
    assert not taken_twice(relay)


async def _alive(ledgers: Ledgers) -> bool:
    return len(await ledgers.fleet.alive()) == 2
