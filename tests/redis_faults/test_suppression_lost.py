"""A do-not-send list that is gone is not taken for an empty one: nobody is sent to before it is back."""

import asyncio
from pathlib import Path

import pytest
from msgspec import structs

from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from mailer.backends.redis.scripts import REPLAY
from mailer.vocabulary.errors import QueueError
from tests.ledger.campaigns import REFUSED, drafts, running
from tests.ledger.hands import hand
from tests.operator.console import Console
from tests.operator.recount import sound
from tests.redis_faults.servers import FaultyServer
from tests.redis_faults.workers import at_work, finished, logged, recoveries, troubles
from tests.servers import until
from tests.worker.relays import capture, submit, taken_twice

GONE = "gone@x.test"


async def loss(ledgers: Ledgers, kind: str) -> None:
    """Somebody removes the list, or puts something else into its place."""
    await ledgers.redis.unlink(ledgers.keys.suppressed)
    if kind == "planted":
        await ledgers.redis.set(ledgers.keys.suppressed, "garbage")


losses = pytest.mark.parametrize("kind", ["removed", "planted"])


@losses
async def test_without_its_list_a_fleet_stops_aloud_and_goes_on_when_it_is_imported(
    server: FaultyServer, tmp_path: Path, kind: str
) -> None:
    async with open_ledgers(server.url, prefix="t", lease_s=0.6) as ledgers, capture(tmp_path) as relay:
        people = [f"slow+50ms-{row}@x.test" for row in range(40)]
        await ledgers.suppression.add(people[-1], "asked us to stop")
        campaign = await submit(ledgers, relay, people, connections=2, chunk=10)
        async with logged() as logs, at_work(ledgers, 2, lease_s=0.6):
            await until(lambda: relay.mailbox.accepted >= 6)
            await loss(ledgers, kind)
            before = relay.mailbox.accepted
            await until(lambda: troubles(logs) == ["E519"] * 2)
            await until(lambda: _told_of(ledgers, "E519"))
            await asyncio.sleep(0.3)
            # What had its mark already is finished; nobody gets one any more.
            assert relay.mailbox.accepted <= before + 4
            await ledgers.suppression.add_all([(people[-1], "asked us to stop")], is_whole=True)
            await until(lambda: finished(ledgers, campaign.id))
        assert recoveries(logs) == 2
        status = await sound(ledgers, campaign)
    assert (status.totals.sent, status.totals.suppressed, status.totals.in_doubt) == (39, 1, 0)
    assert not taken_twice(relay)


async def _told_of(ledgers: Ledgers, code: str) -> bool:
    workers = await ledgers.fleet.alive()
    return len(workers) == 2 and all(worker.health.startswith(code) for worker in workers)


@losses
async def test_no_mark_is_given_from_the_moment_on_and_outcomes_are_recorded_all_the_same(
    ledgers: Ledgers, kind: str
) -> None:
    await ledgers.suppression.add(GONE, "asked us to stop")
    campaign = await running(ledgers, drafts([1, 2]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        assert await worker.mark(claim, claim.recipients[0])
        await loss(ledgers, kind)
        assert not await worker.mark(claim, claim.recipients[1])
        # A list with what the relay says now, and without all that it held, is no list.
        await worker.record(claim, claim.recipients[0], structs.replace(REFUSED, suppress=True))
        assert (await ledgers.reading.status(campaign.id)).totals.refused == 1
        assert await ledgers.suppression.is_lost()
        assert not await worker.mark(claim, claim.recipients[1])
        await ledgers.suppression.add_all([], is_whole=True)
        assert await worker.mark(claim, claim.recipients[1])
    await sound(ledgers, campaign)


async def test_what_workers_remember_makes_no_lost_list_whole(ledgers: Ledgers) -> None:
    await ledgers.suppression.add(GONE, "asked us to stop")
    campaign = await running(ledgers, drafts([1]))
    await loss(ledgers, "removed")
    keys, base = [ledgers.keys.campaign(campaign.id), ledgers.keys.suppressed], ledgers.keys.base(campaign.id)
    words = (0, "q000", "q000", b"", "", "", "", "r1@x1.test", b"{}")
    assert await REPLAY(ledgers.redis, keys, base, 0, *words) == 1
    assert await ledgers.redis.hget(ledgers.keys.suppressed, "r1@x1.test") == b"{}"
    assert await ledgers.suppression.is_lost()


async def test_a_ledger_without_a_list_has_lost_none(ledgers: Ledgers) -> None:
    await ledgers.suppression.check()
    assert await ledgers.suppression.entries() == []
    assert not await ledgers.redis.exists(ledgers.keys.suppressed)


async def test_a_list_that_was_emptied_by_hand_is_whole(ledgers: Ledgers) -> None:
    await ledgers.suppression.add(GONE, "asked us to stop")
    assert await ledgers.suppression.remove(GONE)
    assert await ledgers.suppression.entries() == []
    campaign = await running(ledgers, drafts([1]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        assert await worker.mark(claim, claim.recipients[0])


async def test_the_first_refusal_of_an_address_begins_a_list_that_can_be_lost(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        await worker.record(claim, claim.recipients[0], structs.replace(REFUSED, suppress=True))
    assert [key for key, _ in await ledgers.suppression.entries()] == ["r1@x1.test"]
    await loss(ledgers, "removed")
    assert await ledgers.suppression.is_lost()


async def test_a_list_of_an_earlier_version_can_be_lost_once_it_was_looked_at(ledgers: Ledgers) -> None:
    await ledgers.suppression.add(GONE, "asked us to stop")
    redis, key = ledgers.redis, ledgers.keys.suppressed
    await redis.hdel(key, "")
    await redis.unlink(f"{key}:kept")
    assert not await ledgers.suppression.is_lost()
    await loss(ledgers, "removed")
    with pytest.raises(QueueError) as caught:
        await ledgers.suppression.check()
    assert (caught.value.code, caught.value.exit_code) == ("E519", 4)


@losses
async def test_the_commands_tell_a_lost_list_and_only_an_import_ends_it(
    ledgers: Ledgers, tmp_path: Path, kind: str
) -> None:
    """Neither an address nor a file without one puts back who was on it; a list of one, removed, says nobody is."""
    console = Console(ledgers, tmp_path)
    await console.run("suppress", "add", GONE)
    await console.run("suppress", "export", "-o", "list.csv")
    exported = (tmp_path / "list.csv").read_text()
    await loss(ledgers, kind)
    for words in (("list",), ("export", "-o", "list.csv"), ("why", GONE)):
        assert (await console.run("suppress", *words, "--json", code=4)).error["code"] == "E519"
    assert (tmp_path / "list.csv").read_text() == exported
    assert "error[E519]: the do-not-send list is lost" in (await console.run("status")).err
    said = await console.run("suppress", "add", "other@x.test")
    assert (said.out, said.err.count("error[E519]")) == ("1 added\n", 1)
    (tmp_path / "wrong.csv").write_text("email\nnobody\n")
    assert "error[E519]" in (await console.run("suppress", "import", "wrong.csv", code=3)).err
    assert (await console.run("suppress", "import", "list.csv")).err == ""
    assert [key for key, _ in await ledgers.suppression.entries()] == [GONE, "other@x.test"]
    await loss(ledgers, kind)
    (tmp_path / "nobody.csv").write_text("email\n")
    await console.run("suppress", "import", "nobody.csv", code=3)
    assert await ledgers.suppression.is_lost()
    (tmp_path / "one.csv").write_text("email\nus@x.test\n")
    await console.run("suppress", "import", "one.csv")
    await console.run("suppress", "remove", "us@x.test")
    assert (await console.run("suppress", "list")).out == ""
    assert "E519" not in (await console.run("status")).err
