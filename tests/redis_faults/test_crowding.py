"""A queue server that takes no more connections."""

from pathlib import Path

import pytest
from redis import Redis

from mailer.backends.redis.ledgers import open_ledgers
from mailer.vocabulary.errors import QueueError
from mailer.worker.process import WorkerProcess
from tests.operator.recount import sound
from tests.redis_faults.servers import FaultyServer
from tests.redis_faults.workers import at_work, finished, logged, recoveries, troubles
from tests.servers import until
from tests.worker.relays import capture, orders, submit, taken_twice


async def test_workers_that_get_no_connection_back_off_and_go_on_when_there_is_room(
    server: FaultyServer, tmp_path: Path
) -> None:
    with Redis.from_url(server.url) as administrator:

        def turned_away() -> int:
            return int(administrator.info("stats")["rejected_connections"])

        administrator.ping()
        async with open_ledgers(server.url, prefix="t", lease_s=0.6) as ledgers, capture(tmp_path) as relay:
            people = [f"slow+30ms-{row}@x.test" for row in range(60)]
            campaign = await submit(ledgers, relay, people, connections=2, chunk=5)
            async with logged() as logs, at_work(ledgers, 4, lease_s=0.6):
                await until(lambda: relay.mailbox.accepted >= 10)
                administrator.config_set("maxclients", 10)
                administrator.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                # For longer than a lease, in which each of them tries again and again.
                await until(lambda: turned_away() >= 50)
                assert set(troubles(logs)) == {"E501"}
                administrator.config_set("maxclients", 1000)
                await until(lambda: recoveries(logs) >= 1)
                await until(lambda: finished(ledgers, campaign.id))
            status = await sound(ledgers, campaign)
    # Who could not beat when others could again may lose what was in his hands.
    assert status.totals.sent + status.totals.in_doubt == 60
    assert not taken_twice(relay)


async def test_a_worker_for_whom_there_is_no_room_says_so_and_leaves_the_others_alone(
    server: FaultyServer, tmp_path: Path
) -> None:
    with Redis.from_url(server.url) as administrator:
        administrator.ping()
        async with open_ledgers(server.url, prefix="t", lease_s=1) as ledgers, capture(tmp_path) as relay:
            people = [f"slow+30ms-{row}@x.test" for row in range(30)]
            campaign = await submit(ledgers, relay, people, connections=2, chunk=5)
            async with logged() as logs, at_work(ledgers):
                await until(lambda: relay.mailbox.accepted >= 4)
                administrator.config_set("maxclients", int(administrator.info("clients")["connected_clients"]) - 1)
                with pytest.raises(QueueError) as caught:
                    async with WorkerProcess(orders(ledgers)):
                        pass
                assert (caught.value.code, caught.value.exit_code) == ("E501", 4)
                administrator.config_set("maxclients", 1000)
                await until(lambda: finished(ledgers, campaign.id))
            assert not troubles(logs)
            assert (await sound(ledgers, campaign)).totals.sent == 30
    assert not taken_twice(relay)
