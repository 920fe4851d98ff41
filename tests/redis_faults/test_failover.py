"""A replica takes the primary's place: with less than it had, while it still lives, or only for a while."""

from pathlib import Path

import pytest

from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from mailer.capture.server import CaptureServer
from mailer.vocabulary.campaign import Campaign
from mailer.vocabulary.recipient import State
from tests.ledger.campaigns import records
from tests.operator.recount import sound
from tests.redis_faults.servers import Pair
from tests.redis_faults.workers import at_work, finished, logged, recoveries, troubles
from tests.servers import until
from tests.worker.relays import capture, submit, taken_twice


@pytest.mark.parametrize("missed", [1, 8, 30])
async def test_a_replica_that_lacks_the_last_writes_gets_them_from_those_who_live(
    pair: Pair, tmp_path: Path, missed: int
) -> None:
    """So many messages at least were taken by the relay since the replica heard of any."""
    async with open_ledgers(pair.url, prefix="t", lease_s=1) as ledgers, capture(tmp_path) as relay:
        people = [f"slow+20ms-{row}@x.test" for row in range(80)] + [f"bounce+550-{row}@x.test" for row in range(5)]
        campaign = await submit(ledgers, relay, people, connections=2, chunk=10)
        async with at_work(ledgers, 2):
            await until(lambda: relay.mailbox.accepted >= 10)
            pair.part()
            behind = relay.mailbox.accepted
            await until(lambda: relay.mailbox.accepted >= behind + missed)
            pair.fail_over()
            await until(lambda: finished(ledgers, campaign.id), within=20)
        status = await sound(ledgers, campaign)
    assert (status.totals.sent, status.totals.refused, status.totals.in_doubt) == (80, 5, 0)
    assert relay.mailbox.accepted == 80
    assert not taken_twice(relay)


async def test_a_primary_that_was_a_replica_for_a_while_gets_back_what_it_has_lost(pair: Pair, tmp_path: Path) -> None:
    """It is the same start of the same server, and yet it has forgotten what the other one never had."""
    async with open_ledgers(pair.url, prefix="t", lease_s=1) as ledgers, capture(tmp_path) as relay:
        people = [f"slow+20ms-{row}@x.test" for row in range(80)]
        campaign = await submit(ledgers, relay, people, connections=2, chunk=10)
        async with logged() as logs, at_work(ledgers):
            await until(lambda: relay.mailbox.accepted >= 10)
            pair.part()
            behind = relay.mailbox.accepted
            await until(lambda: relay.mailbox.accepted >= behind + 10)
            pair.promote()
            pair.copy_back()
            await until(lambda: troubles(logs) == ["E507"])
            pair.primary.say("REPLICAOF", "NO", "ONE")
            await until(lambda: recoveries(logs) == 1)
            await until(lambda: finished(ledgers, campaign.id), within=20)
        status = await sound(ledgers, campaign)
    assert not taken_twice(relay)
    assert (status.totals.sent, status.totals.in_doubt) == (80, 0)


async def _who_was_sent_twice(ledgers: Ledgers, campaign: Campaign, relay: CaptureServer) -> set[str]:
    """Those with two messages, after a look at what holds for everybody: no phantom, and no message unknown."""
    for record in await records(ledgers, campaign):
        taken = relay.mailbox.accepted_for[record.email]
        assert taken >= 1, record
        assert record.state in (State.SENT, State.IN_DOUBT), record
    return set(taken_twice(relay))


async def test_two_primaries_at_once_send_twice_only_to_whom_the_old_one_still_gave_to_its_worker(
    pair: Pair, tmp_path: Path
) -> None:
    """What no mailer can close: each of two primaries gives the same recipients away. A server can, see the next test.

    The window lies between the promotion and the end of the old primary: only who was sent to by it may be repeated.
    """
    async with (
        open_ledgers(pair.url, prefix="t", lease_s=0.6) as ledgers,
        open_ledgers(pair.replica.url, prefix="t", lease_s=0.6) as survivor,
        capture(tmp_path) as relay,
    ):
        people = [f"slow+50ms-{row}@x.test" for row in range(60)]
        campaign = await submit(ledgers, relay, people, connections=1, chunk=60)
        async with at_work(ledgers, lease_s=0.6):
            await until(lambda: relay.mailbox.accepted >= 5)
            pair.part()
            pair.promote()
            before = set(relay.mailbox.accepted_for)
            async with at_work(survivor, lease_s=0.6):
                await until(lambda: relay.mailbox.accepted >= 30)
                pair.primary.kill()
                pair.point_to(pair.replica)
                await until(lambda: finished(survivor, campaign.id), within=20)
        await sound(survivor, campaign)
        twice = await _who_was_sent_twice(survivor, campaign, relay)
    assert not twice & before
    assert max(relay.mailbox.accepted_for.values()) <= 2


async def test_an_old_primary_that_has_to_have_a_replica_gives_nobody_away_any_more(pair: Pair, tmp_path: Path) -> None:
    pair.primary.say("CONFIG", "SET", "min-replicas-to-write", 1)
    pair.replica.say("CONFIG", "SET", "min-replicas-to-write", 0)
    async with (
        open_ledgers(pair.url, prefix="t", lease_s=1) as ledgers,
        open_ledgers(pair.replica.url, prefix="t", lease_s=1) as survivor,
        capture(tmp_path) as relay,
    ):
        people = [f"slow+30ms-{row}@x.test" for row in range(60)]
        campaign = await submit(ledgers, relay, people, connections=1, chunk=10)
        async with logged() as logs, at_work(ledgers):
            await until(lambda: relay.mailbox.accepted >= 5)
            pair.part()
            await until(lambda: troubles(logs) == ["E507"])
            pair.promote()
            async with at_work(survivor):
                await until(lambda: relay.mailbox.accepted >= 30)
                pair.primary.kill()
                pair.point_to(pair.replica)
                await until(lambda: finished(survivor, campaign.id), within=20)
        await sound(survivor, campaign)
    assert not taken_twice(relay)
