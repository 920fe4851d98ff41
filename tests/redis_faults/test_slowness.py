"""A queue server that takes its time, or is busy with something else."""

import asyncio
from contextlib import closing
from pathlib import Path

import pytest
from redis.exceptions import ResponseError

from mailer.backends.redis.ledgers import open_ledgers
from tests.cli.backstage import Backstage
from tests.faults.proxy import Proxy
from tests.operator.recount import sound
from tests.redis_faults.servers import FaultyServer, free_ports
from tests.redis_faults.workers import at_work, finished, logged, recoveries, troubles
from tests.servers import until
from tests.worker.relays import capture, submit, taken_twice

ENDLESS = "while true do end"


async def test_a_server_that_takes_a_fifth_of_the_lease_for_each_command_is_slow_and_nothing_else(
    server: FaultyServer, tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    server.say("CONFIG", "SET", "port", port)
    # Its own loop: a worker's first heartbeat waits for its answer in the loop of the worker.
    with closing(Backstage()) as elsewhere:
        line = elsewhere.enter(Proxy(port))
        url = f"redis://127.0.0.1:{line.listens_on}"
        async with open_ledgers(url, prefix="t", lease_s=1.2) as ledgers, capture(tmp_path) as relay:
            campaign = await submit(ledgers, relay, [f"p{row}@x.test" for row in range(12)], connections=2, chunk=6)
            async with logged() as logs, at_work(ledgers, 2, lease_s=1.2):
                line.down.delay_s = 0.24
                await until(lambda: finished(ledgers, campaign.id), within=60)
                line.down.delay_s = 0.0
            assert "E514" not in troubles(logs)
            status = await sound(ledgers, campaign)
    assert (status.totals.sent, status.totals.in_doubt) == (12, 0)
    assert relay.mailbox.accepted == 12
    assert not taken_twice(relay)


async def test_a_server_that_is_busy_with_a_script_for_longer_than_the_lease_makes_nobody_claim_twice(
    server: FaultyServer, tmp_path: Path
) -> None:
    server.say("CONFIG", "SET", "busy-reply-threshold", 50)
    async with open_ledgers(server.url, prefix="t", lease_s=0.6) as ledgers, capture(tmp_path) as relay:
        people = [f"slow+40ms-{row}@x.test" for row in range(40)]
        campaign = await submit(ledgers, relay, people, connections=2, chunk=10)
        async with logged() as logs, at_work(ledgers, 2, lease_s=0.6):
            await until(lambda: relay.mailbox.accepted >= 6)
            script = asyncio.create_task(asyncio.to_thread(_run, server, ENDLESS))
            await until(lambda: "E507" in troubles(logs))
            before = relay.mailbox.accepted
            await asyncio.sleep(0.8)
            assert relay.mailbox.accepted <= before + 4
            server.say("SCRIPT", "KILL")
            await script
            await until(lambda: recoveries(logs) >= 1)
            await until(lambda: finished(ledgers, campaign.id))
        assert any("BUSY" in line["reason"] for line in logs if line["event"] == "nothing is claimed")
        status = await sound(ledgers, campaign)
    assert (status.totals.sent, status.totals.in_doubt) == (40, 0)
    assert not taken_twice(relay)


def _run(server: FaultyServer, script: str) -> None:
    with pytest.raises(ResponseError, match=r"(?i)killed"):
        server.say("EVAL", script, 0)
