"""A ledger that is emptied or replaced under those who work with it: nobody takes the void for an empty ledger."""

import asyncio
from pathlib import Path

import pytest
from redis.asyncio import Redis

from mailer.backends.redis.connection import check_server
from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from mailer.interfaces.ledger import CampaignGoneError
from mailer.vocabulary.errors import UsageError
from mailer.worker.process import WorkerProcess
from mailer.worker.supervisor import Supervisor
from tests.ledger.campaigns import drafts, proposal, running
from tests.operator.recount import sound
from tests.redis_faults.servers import FaultyServer
from tests.redis_faults.workers import at_work, finished, logged
from tests.servers import until
from tests.worker.relays import capture, orders, submit, taken_twice


async def keys_left(url: str) -> list[str]:
    """All keys of a server but arq's own sign of health."""
    async with Redis.from_url(url, decode_responses=True) as redis:
        return [key async for key in redis.scan_iter() if "health-check" not in key]


@pytest.mark.parametrize("emptied", ["FLUSHALL", "another ledger"])
async def test_a_worker_whose_ledger_is_gone_stops_aloud_and_creates_nothing(
    server: FaultyServer, tmp_path: Path, emptied: str
) -> None:
    async with open_ledgers(server.url, prefix="t", lease_s=1) as ledgers, capture(tmp_path) as relay:
        people = [f"slow+100ms-{row}@x.test" for row in range(40)]
        await submit(ledgers, relay, people, connections=2, chunk=10)
        async with logged() as logs, WorkerProcess(orders(ledgers)) as worker:
            working = asyncio.create_task(worker.run())
            await until(lambda: relay.mailbox.accepted >= 6)
            server.say("FLUSHALL")
            if emptied == "another ledger":
                server.say("SET", "t:identity", "another")
            with pytest.raises(UsageError) as caught:
                async with asyncio.timeout(10):
                    await working
        assert (caught.value.code, caught.value.exit_code) == ("E514", 2)
        assert not caught.value.retryable
        assert await keys_left(server.url) == (["t:identity"] if emptied == "another ledger" else [])
        told = [line for line in logs if line["event"] == "not recorded"]
        # Everybody whom the relay took is named once, recorded before or not.
        assert len(told) == len({(line["chunk"], line["index"]) for line in told})
        assert sum(line["state"] == "sent" for line in told) >= relay.mailbox.accepted - 2
        assert relay.mailbox.accepted < 40
    assert not taken_twice(relay)


async def test_a_ledger_that_was_emptied_goes_on_from_a_copy_of_its_file_and_sends_nobody_twice(
    server: FaultyServer, tmp_path: Path
) -> None:
    """The copy ends before the order that emptied it; what was on the wire at that moment is in doubt."""
    async with open_ledgers(server.url, prefix="t", lease_s=0.6) as ledgers, capture(tmp_path) as relay:
        people = [f"slow+50ms-{row}@x.test" for row in range(40)]
        campaign = await submit(ledgers, relay, people, connections=2, chunk=10)
        async with WorkerProcess(orders(ledgers, lease_s=0.6)) as worker:
            working = asyncio.create_task(worker.run())
            await until(lambda: relay.mailbox.accepted >= 6)
            whole = server.written
            server.say("FLUSHALL")
            with pytest.raises(UsageError) as caught:
                async with asyncio.timeout(10):
                    await working
        assert caught.value.code == "E514"
        written = server.trail_file.read_bytes()
        server.restart(forgetting_from=written.index(b"FLUSHALL", whole - 1) - len(b"*1\r\n$8\r\n"))
        async with at_work(ledgers, lease_s=0.6):
            await until(lambda: finished(ledgers, campaign.id))
        status = await sound(ledgers, campaign)
    assert status.totals.sent + status.totals.in_doubt == 40
    assert status.totals.in_doubt <= 2
    assert not taken_twice(relay)


async def test_a_supervisor_does_not_start_workers_in_a_void(server: FaultyServer, tmp_path: Path) -> None:
    async with open_ledgers(server.url, prefix="t", lease_s=1) as ledgers, capture(tmp_path) as relay:
        await submit(ledgers, relay, [f"slow+200ms-{row}@x.test" for row in range(40)], connections=2)
        running_ = asyncio.create_task(Supervisor(orders(ledgers), 2).run())
        await until(lambda: relay.mailbox.accepted >= 2)
        await until(lambda: _all_there(ledgers))
        server.say("FLUSHALL")
        with pytest.raises(UsageError) as caught:
            async with asyncio.timeout(20):
                await running_
        assert caught.value.code == "E514"
        assert await keys_left(server.url) == []


async def _all_there(ledgers: Ledgers) -> bool:
    return len(await ledgers.fleet.alive()) == 2


async def test_whoever_is_told_which_ledger_it_is_for_begins_no_other(server: FaultyServer) -> None:
    async with open_ledgers(server.url, prefix="t", lease_s=1) as ledgers:
        await check_server(ledgers.redis, ledgers.keys)
        known = (await ledgers.redis.get(ledgers.keys.identity) or b"").decode()
        await check_server(ledgers.redis, ledgers.keys, ledger=known)
        server.say("FLUSHALL")
        with pytest.raises(UsageError) as caught:
            await check_server(ledgers.redis, ledgers.keys, ledger=known)
        assert caught.value.code == "E514"
        assert await keys_left(server.url) == []


async def test_a_producer_whose_ledger_is_gone_begins_no_new_one(server: FaultyServer) -> None:
    async with open_ledgers(server.url, prefix="t", lease_s=1) as ledgers:
        campaign = await ledgers.intake.open(proposal(key="k"))
        assert not await ledgers.intake.accept(campaign, drafts([1]))
        server.say("FLUSHALL")
        with pytest.raises(CampaignGoneError):
            await ledgers.intake.accept(campaign, drafts([2]))
        with pytest.raises(UsageError) as caught:
            await ledgers.intake.open(proposal(key="k"))
        assert caught.value.code == "E514"
        assert await keys_left(server.url) == []


async def test_who_comes_anew_begins_a_ledger_of_his_own(server: FaultyServer) -> None:
    async with open_ledgers(server.url, prefix="t", lease_s=1) as ledgers:
        await running(ledgers, drafts([1]))
        first = await ledgers.redis.get(ledgers.keys.identity)
        server.say("FLUSHALL")
    async with open_ledgers(server.url, prefix="t", lease_s=1) as ledgers:
        await running(ledgers, drafts([1]))
        assert await ledgers.redis.get(ledgers.keys.identity) not in (None, first)


async def test_the_identity_outlives_a_restart(server: FaultyServer) -> None:
    async with open_ledgers(server.url, prefix="t", lease_s=1) as ledgers:
        await running(ledgers, drafts([1]))
        server.restart()
        await running(ledgers, drafts([1]))


async def test_a_producer_does_not_write_into_another_layout(server: FaultyServer) -> None:
    async with open_ledgers(server.url, prefix="t", lease_s=1) as ledgers:
        await ledgers.redis.set(ledgers.keys.schema, "99")
        with pytest.raises(UsageError) as caught:
            await ledgers.intake.open(proposal())
        assert caught.value.code == "E505"
        assert await ledgers.campaigns.ids() == []


async def test_a_worker_stops_when_a_newer_version_takes_the_ledger_over(server: FaultyServer) -> None:
    async with open_ledgers(server.url, prefix="t", lease_s=1) as ledgers:
        async with WorkerProcess(orders(ledgers)) as worker:
            working = asyncio.create_task(worker.run())
            await ledgers.redis.set(ledgers.keys.schema, "99")
            with pytest.raises(UsageError) as caught:
                async with asyncio.timeout(10):
                    await working
        assert caught.value.code == "E514"


async def test_a_worker_leaves_the_jobs_of_another_version_alone(server: FaultyServer) -> None:
    async with open_ledgers(server.url, prefix="t", lease_s=1) as ledgers:
        queue = ledgers.keys.queue.rpartition(":")[0] + ":99"
        await ledgers.redis.zadd(queue, {"of-the-future": 1})
        await ledgers.redis.set("arq:job:of-the-future", b"\x00nobody knows")
        async with WorkerProcess(orders(ledgers)) as worker:
            await worker.run(worker.campaigns.is_idle)
        assert await ledgers.redis.zrange(queue, 0, -1) == [b"of-the-future"]
        assert await ledgers.redis.get("arq:job:of-the-future") == b"\x00nobody knows"
