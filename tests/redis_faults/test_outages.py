"""A server that dies while messages are on the wire, and comes back with or without its last bytes."""

from pathlib import Path

import pytest

from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from mailer.vocabulary.recipient import State
from tests.ledger.campaigns import records
from tests.operator.recount import sound
from tests.redis_faults.servers import FaultyServer
from tests.redis_faults.workers import at_work, finished, logged, process_of, recoveries
from tests.servers import until
from tests.worker.relays import capture, orders, submit, taken_twice


async def _sending(ledgers: Ledgers, campaign_id: str, count: int) -> bool:
    return (await ledgers.reading.status(campaign_id)).totals.sending >= count


async def test_what_a_worker_could_not_record_before_it_died_is_in_doubt_and_not_sent_again(
    server: FaultyServer, tmp_path: Path
) -> None:
    async with open_ledgers(server.url, prefix="t", lease_s=1) as ledgers, capture(tmp_path) as relay:
        campaign = await submit(ledgers, relay, [f"slow+300ms-{row}@x.test" for row in range(6)], connections=2)
        async with process_of(orders(ledgers)) as doomed:
            await until(lambda: _sending(ledgers, campaign.id, 2))
            server.kill()
            await until(lambda: relay.mailbox.accepted >= 2)
            await doomed.kill()
        taken = set(relay.mailbox.accepted_for)
        server.start()
        async with at_work(ledgers):
            await until(lambda: finished(ledgers, campaign.id))
        status = await sound(ledgers, campaign)
        doubtful = [record for record in await records(ledgers, campaign) if record.state is State.IN_DOUBT]
    assert (status.totals.sent, status.totals.in_doubt) == (4, 2)
    assert {record.email for record in doubtful} == taken
    assert all(record.message_id and record.reason == "worker_died" for record in doubtful)
    assert relay.mailbox.accepted == 6
    assert not taken_twice(relay)


@pytest.mark.parametrize("lost", [1, 7, 40])
async def test_a_server_whose_file_ends_amid_a_record_starts_and_nobody_is_lost_or_sent_twice(
    server: FaultyServer, tmp_path: Path, lost: int
) -> None:
    """So many bytes are gone from its end: no record is as short as the shortest loss."""
    async with open_ledgers(server.url, prefix="t", lease_s=1) as ledgers, capture(tmp_path) as relay:
        campaign = await submit(ledgers, relay, [f"slow+20ms-{row}@x.test" for row in range(40)], connections=2)
        async with logged() as logs, at_work(ledgers):
            await until(lambda: relay.mailbox.accepted >= 10)
            server.kill()
            torn = server.written - lost
            server.cut(torn)
            server.start()
            await until(lambda: recoveries(logs) == 1)
            await until(lambda: finished(ledgers, campaign.id))
        status = await sound(ledgers, campaign)
    assert (status.totals.sent, status.totals.in_doubt) == (40, 0)
    assert relay.mailbox.accepted == 40
    assert not taken_twice(relay)
