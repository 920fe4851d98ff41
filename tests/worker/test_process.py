"""A worker process in the loop: it works what is queued, outlives the queue server, and ends when it is told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog.testing

from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from mailer.capture.server import CaptureServer
from mailer.config.orders import Orders
from mailer.vocabulary.campaign import CampaignState
from mailer.worker.process import WorkerProcess
from tests.ledger.campaigns import checked, records, states
from tests.ledger.hands import hand
from tests.servers import OwnServer, until
from tests.worker.relays import capture, orders, submit, taken_twice


@asynccontextmanager
async def at_work(told: Orders) -> AsyncIterator[WorkerProcess]:
    """A worker that runs until the end of the block, where it drains."""
    async with WorkerProcess(told) as worker:
        working = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            worker.stop()
            await working


async def finished(ledgers: Ledgers, campaign_id: str) -> bool:
    return (await ledgers.reading.status(campaign_id)).state is CampaignState.FINISHED


async def test_a_worker_finishes_a_campaign(ledgers: Ledgers, tmp_path: Path) -> None:
    async with capture(tmp_path) as relay:
        people = [f"p{row}@x.test" for row in range(180)]
        people += [f"bounce+550-{row}@x.test" for row in range(15)] + [f"drop-{row}@x.test" for row in range(5)]
        campaign = await submit(ledgers, relay, people)
        async with at_work(orders(ledgers)) as worker:
            await until(lambda: finished(ledgers, campaign.id))
            assert worker.counts == {"sent": 180, "refused": 15, "in_doubt": 5}
    status = await checked(ledgers, campaign)
    assert (status.totals.sent, status.totals.refused, status.totals.in_doubt) == (180, 15, 5)
    assert relay.mailbox.accepted == 180
    assert not taken_twice(relay)
    assert await ledgers.jobs.waiting() == 0
    assert await ledgers.fleet.known() == []
    sent = (await records(ledgers, campaign))[0]
    assert (sent.relay, sent.tls, sent.code) == (f"localhost:{relay.port}", "TLSv1.3", 250)
    assert sent.server_queue_id is not None


async def test_a_worker_in_a_burst_ends_when_nothing_is_left_to_do(ledgers: Ledgers, tmp_path: Path) -> None:
    async with capture(tmp_path) as relay:
        campaign = await submit(ledgers, relay, ["a@x.test", "b@x.test", "defer+451@x.test"])
        async with WorkerProcess(orders(ledgers)) as worker:
            await worker.run(worker.campaigns.is_idle)
    assert await states(ledgers, campaign) == ["sent", "sent", "deferred"]


async def test_retries_are_made_when_they_are_due(ledgers: Ledgers, tmp_path: Path) -> None:
    async with capture(tmp_path) as relay:
        campaign = await submit(ledgers, relay, ["greylist@x.test", "a@x.test"])
        async with at_work(orders(ledgers, lease_s=0.5)):
            await until(lambda: _resting(ledgers, campaign.id))
            # The schedule begins at five minutes; the clock of the queue server is nobody's to turn.
            await ledgers.redis.eval(
                "local value = redis.call('HGET', KEYS[1], '0') "
                "redis.call('HSET', KEYS[1], '0', string.sub(value, 1, 4) .. '1')",
                1,
                ledgers.keys.base(campaign.id) + "s:0",
            )
            await ledgers.redis.zadd(ledgers.keys.base(campaign.id) + "due", {"0": 1})
            await until(lambda: finished(ledgers, campaign.id))
    first, second = await records(ledgers, campaign)
    assert (first.attempts, second.attempts) == (2, 1)
    assert not taken_twice(relay)


async def _resting(ledgers: Ledgers, campaign_id: str) -> bool:
    return (await ledgers.reading.status(campaign_id)).is_resting


@pytest.mark.thorough
async def test_what_a_dead_worker_held_is_worked_by_a_living_one(ledgers: Ledgers, tmp_path: Path) -> None:
    async with capture(tmp_path) as relay:
        campaign = await submit(ledgers, relay, [f"p{row}@x.test" for row in range(10)], chunk=5)
        async with hand(ledgers) as dead:
            claim = await dead.claim(campaign)
            assert await dead.mark(claim, claim.recipients[0])
        async with at_work(orders(ledgers)):
            await until(lambda: finished(ledgers, campaign.id))
    assert await states(ledgers, campaign) == ["in_doubt"] + ["sent"] * 9
    assert relay.mailbox.accepted == 9


@pytest.mark.thorough
async def test_a_worker_keeps_a_lease_that_is_shorter_than_its_usual_beat(ledgers: Ledgers) -> None:
    async with open_ledgers(ledgers.url, prefix=ledgers.keys.prefix, lease_s=0.5) as strict:
        async with WorkerProcess(orders(ledgers, lease_s=0.5)):
            for _ in range(8):
                await asyncio.sleep(0.1)
                assert len(await strict.fleet.alive()) == 1
        assert await strict.fleet.known() == []


async def test_a_drained_worker_finishes_what_is_on_the_wire_and_gives_the_rest_back(
    ledgers: Ledgers, tmp_path: Path
) -> None:
    async with capture(tmp_path) as relay:
        people = [f"slow+300ms-{row}@x.test" for row in range(40)]
        campaign = await submit(ledgers, relay, people, connections=3)
        async with WorkerProcess(orders(ledgers)) as worker:
            working = asyncio.create_task(worker.run())
            await until(lambda: _sending(ledgers, campaign.id, 3))
            worker.stop()
            await working
        status = await checked(ledgers, campaign)
        assert (status.totals.sent, status.totals.queued) == (3, 37)
        assert {record.attempts for record in await records(ledgers, campaign)} == {0, 1}
    assert relay.mailbox.accepted == 3


async def _sending(ledgers: Ledgers, campaign_id: str, count: int) -> bool:
    return (await ledgers.reading.status(campaign_id)).totals.sending == count


async def test_a_worker_stopped_at_once_leaves_in_doubt_what_was_in_a_body_and_gives_the_rest_back(
    ledgers: Ledgers, tmp_path: Path
) -> None:
    async with capture(tmp_path) as relay:
        campaign = await submit(ledgers, relay, [f"slow+60s-{row}@x.test" for row in range(10)], connections=2)
        async with WorkerProcess(orders(ledgers)) as worker:
            working = asyncio.create_task(worker.run())
            await until(lambda: _sending(ledgers, campaign.id, 2))
            worker.stop()
            worker.stop_now()
            await working
        status = await checked(ledgers, campaign)
        assert (status.totals.in_doubt, status.totals.queued) == (2, 8)


@pytest.mark.thorough
async def test_a_queue_server_that_is_killed_and_comes_back_costs_nobody_a_second_message(
    own_server: OwnServer, tmp_path: Path
) -> None:
    async with (
        open_ledgers(own_server.url, prefix="t", lease_s=1) as ledgers,
        capture(tmp_path) as relay,
    ):
        campaign = await submit(ledgers, relay, [f"p{row}@x.test" for row in range(200)], connections=3)
        async with at_work(orders(ledgers)):
            await until(lambda: relay.mailbox.accepted >= 30)
            own_server.kill()
            before = relay.mailbox.accepted
            await asyncio.sleep(0.3)
            assert relay.mailbox.accepted <= before + 3, "whoever cannot record sends nothing"
            await asyncio.to_thread(own_server.start)
            await until(lambda: finished(ledgers, campaign.id), within=20)
        status = await checked(ledgers, campaign)
        assert (status.totals.sent, status.totals.in_doubt) == (200, 0)
    assert relay.mailbox.accepted == 200
    assert not taken_twice(relay)


@pytest.mark.thorough
async def test_a_worker_that_must_end_while_the_queue_server_is_away_ends_and_tells_what_it_could_not_record(
    own_server: OwnServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailer.worker.process.LAST_WORDS_S", 0.2)
    monkeypatch.setattr("mailer.worker.process.PATIENCE", 0)
    async with (
        open_ledgers(own_server.url, prefix="t", lease_s=1) as ledgers,
        capture(tmp_path) as relay,
    ):
        campaign = await submit(ledgers, relay, [f"slow+300ms-{row}@x.test" for row in range(4)], connections=2)
        others = asyncio.all_tasks()
        with structlog.testing.capture_logs() as logs:
            async with WorkerProcess(orders(ledgers, grace_s=0.6)) as worker:
                working = asyncio.create_task(worker.run())
                await until(lambda: _sending(ledgers, campaign.id, 2))
                own_server.kill()
                worker.stop()
                async with asyncio.timeout(5):
                    await working
        # arq still wants to say that its job is done; a process would end here.
        for task in asyncio.all_tasks() - others:
            task.cancel()
        assert relay.mailbox.accepted == 2
        lost = [line for line in logs if line["event"] == "not recorded"]
        assert [(line["state"], line["code"]) for line in lost] == [("sent", 250)] * 2
        await asyncio.to_thread(own_server.start)
        async with at_work(orders(ledgers, lease_s=0.5)):
            await until(lambda: finished(ledgers, campaign.id))
        status = await checked(ledgers, campaign)
        assert (status.totals.sent, status.totals.in_doubt) == (2, 2)
    assert not taken_twice(relay)


async def test_garbage_in_the_queue_does_not_make_a_worker_deaf(ledgers: Ledgers, tmp_path: Path) -> None:
    async with capture(tmp_path) as relay:
        campaign = await submit(ledgers, relay, ["a@x.test"])
        (job,) = await ledgers.redis.zrange(ledgers.keys.queue, 0, -1, withscores=True)
        await ledgers.redis.eval("redis.call('ZADD', KEYS[1], ARGV[1], '\\255')", 1, ledgers.keys.queue, job[1] + 1)
        async with at_work(orders(ledgers)):
            await until(lambda: finished(ledgers, campaign.id))


@pytest.mark.thorough
async def test_a_relay_that_is_away_is_waited_for(ledgers: Ledgers, tmp_path: Path) -> None:
    async with capture(tmp_path) as relay:
        campaign = await submit(ledgers, relay, ["a@x.test", "b@x.test"])
        port = relay.port
    async with at_work(orders(ledgers)):
        await until(lambda: _has_due(ledgers, campaign.id))
        assert {record.attempts for record in await records(ledgers, campaign)} == {0}
        async with CaptureServer(tmp_path, port=port, fixed_port=True) as back:
            await until(lambda: finished(ledgers, campaign.id))
    assert back.mailbox.accepted == 2


async def _has_due(ledgers: Ledgers, campaign_id: str) -> bool:
    return (await ledgers.reading.status(campaign_id)).next_due_ms is not None
