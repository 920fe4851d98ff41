"""The recorder: few calls for many outcomes, in order, and none is given up while the server is away."""

import asyncio
from functools import partial
from typing import TYPE_CHECKING, cast

import msgspec
import pytest
import structlog.testing

from mailer.backends.redis.connection import connect
from mailer.backends.redis.delivery import RedisDelivery
from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from mailer.backends.redis.operation import Operation
from mailer.backends.redis.recorder import Recorder
from mailer.backends.redis.scripts import TRANSITION
from mailer.backends.redis.server import Server
from mailer.interfaces.session import PermitUnavailableError
from tests.ledger.campaigns import REFUSED, RELEASED, SENT, checked, deferred, drafts, running, states
from tests.ledger.hands import hand
from tests.servers import OwnServer, until

if TYPE_CHECKING:
    from redis.asyncio import Redis


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trying again within one command is redis-py's promise; ours begin when it gives up."""
    monkeypatch.setattr("mailer.backends.redis.ledgers.connect", partial(connect, patience=0))


async def calls(redis: Server) -> int:
    """How many scripts the server has run."""
    stats: bytes = await redis.eval("return redis.call('INFO', 'commandstats')", 0)
    lines = [line for line in stats.decode().split("\r\n") if line.startswith(("cmdstat_evalsha:", "cmdstat_eval:"))]
    return sum(int(line.split("calls=")[1].split(",")[0]) for line in lines)


async def test_what_many_connections_ask_in_one_turn_travels_together(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts(range(100)))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        before = await calls(ledgers.redis)
        won = await asyncio.gather(*(worker.mark(claim, recipient) for recipient in claim.recipients))
        assert won == [True] * 100
        for recipient in claim.recipients:
            worker.delivery.record(claim, recipient, SENT)
        await worker.written(claim)
        # Two for asking how many they are.
        assert await calls(ledgers.redis) - before <= 2 + 4
    assert (await checked(ledgers, campaign)).totals.sent == 100


async def test_so_many_that_a_call_is_worth_it_do_not_wait_for_more(
    ledgers: Ledgers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailer.backends.redis.recorder.GATHER_S", 60.0)
    campaign = await running(ledgers, drafts(range(1, 41)))
    async with hand(ledgers) as worker, asyncio.timeout(10):
        claim = await worker.claim(campaign)
        first, second = claim.recipients[:20], claim.recipients[20:]
        for some in (first, second):
            assert await asyncio.gather(*(worker.mark(claim, recipient) for recipient in some)) == [True] * 20


async def test_operations_of_several_campaigns_are_written_in_the_order_they_came(ledgers: Ledgers) -> None:
    one, two = await running(ledgers, drafts([1, 2])), await running(ledgers, drafts([1, 2]))
    async with hand(ledgers) as worker:
        first, second = await worker.claim(one), await worker.claim(two)
        for _ in range(3):
            for claim in (first, second):
                for recipient in claim.recipients:
                    worker.delivery.record(claim, recipient, SENT)
                    worker.delivery.record(claim, recipient, REFUSED)
        await worker.written(second)
        assert await states(ledgers, one) == await states(ledgers, two) == ["sent", "sent"]


async def test_the_order_is_kept_over_an_outage(own_server: OwnServer) -> None:
    async with open_ledgers(own_server.url, prefix="t", lease_s=10) as ledgers:
        campaign = await running(ledgers, drafts(range(1, 31)))
        async with hand(ledgers) as worker:
            claim = await worker.claim(campaign)
            marked = claim.recipients[:10]
            for recipient in marked:
                assert await worker.mark(claim, recipient)
            own_server.kill()
            # The second word on a recipient counts for nothing, whenever it is written.
            for recipient in claim.recipients:
                worker.delivery.record(claim, recipient, SENT if recipient in marked else REFUSED)
                worker.delivery.record(claim, recipient, deferred(1))
            await until(lambda: not worker.recorder.is_recording)
            await asyncio.to_thread(own_server.start)
            await worker.delivery.end_run(claim)
            assert worker.recorder.is_recording
        assert await states(ledgers, campaign) == ["sent"] * 10 + ["refused"] * 20
        await checked(ledgers, campaign)


async def test_what_was_acknowledged_is_there_after_the_server_was_killed(own_server: OwnServer) -> None:
    async with open_ledgers(own_server.url, prefix="t", lease_s=10) as ledgers:
        campaign = await running(ledgers, drafts(range(1, 7)))
        async with hand(ledgers) as worker:
            claim = await worker.claim(campaign)
            assert await worker.mark(claim, claim.recipients[0])
            await worker.record(claim, claim.recipients[1], SENT)
            own_server.kill()
            await asyncio.to_thread(own_server.start)
            assert await states(ledgers, campaign) == ["sending", "sent"] + ["claimed"] * 4
            await checked(ledgers, campaign)


async def test_a_mark_that_cannot_be_written_in_time_sends_nothing_and_is_never_written_later(
    own_server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailer.backends.redis.permits.MARK_TIMEOUT_S", 0.1)
    async with open_ledgers(own_server.url, prefix="t", lease_s=10) as ledgers:
        campaign = await running(ledgers, drafts([1, 2]))
        async with hand(ledgers) as worker:
            claim = await worker.claim(campaign)
            own_server.kill()
            with structlog.testing.capture_logs() as logs, pytest.raises(PermitUnavailableError):
                await worker.mark(claim, claim.recipients[0])
            await until(lambda: not worker.recorder.is_recording)
            assert [line["event"] for line in logs].count("cannot record, not sending") <= 1
            await asyncio.to_thread(own_server.start)
            assert await worker.mark(claim, claim.recipients[1])
            assert await states(ledgers, campaign) == ["claimed", "sending"]


async def test_a_cancelled_mark_is_never_written_later(own_server: OwnServer) -> None:
    async with open_ledgers(own_server.url, prefix="t", lease_s=10) as ledgers:
        campaign = await running(ledgers, drafts([1, 2]))
        async with hand(ledgers) as worker:
            claim = await worker.claim(campaign)
            own_server.kill()
            asking = asyncio.create_task(worker.mark(claim, claim.recipients[0]))
            await until(lambda: not worker.recorder.is_recording)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await asyncio.to_thread(own_server.start)
            assert await worker.mark(claim, claim.recipients[1])
            assert await states(ledgers, campaign) == ["claimed", "sending"]


async def test_a_server_that_refuses_to_write_is_asked_again_until_it_does(own_server: OwnServer) -> None:
    async with open_ledgers(own_server.url, prefix="t", lease_s=10) as ledgers:
        campaign = await running(ledgers, drafts([1]))
        async with hand(ledgers) as worker:
            claim = await worker.claim(campaign)
            server = cast("Redis", ledgers.redis)
            await server.config_set("maxmemory", 1)
            worker.delivery.record(claim, claim.recipients[0], SENT)
            await until(lambda: not worker.recorder.is_recording)
            assert await states(ledgers, campaign) == ["claimed"]
            await server.config_set("maxmemory", 0)
            await worker.delivery.end_run(claim)
            assert await states(ledgers, campaign) == ["sent"]


async def test_the_end_of_a_recorder_waits_until_everything_is_written(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts(range(1, 1_201)))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        for recipient in claim.recipients:
            worker.delivery.record(claim, recipient, SENT)
    assert (await checked(ledgers, campaign)).totals.sent == 1_200


async def test_a_recorder_that_must_end_while_the_server_is_away_tells_what_it_could_not_write(
    own_server: OwnServer,
) -> None:
    async with open_ledgers(own_server.url, prefix="t", lease_s=10) as ledgers:
        campaign = await running(ledgers, drafts([1, 2, 3]))
        recorder = Recorder(ledgers.redis, ledgers.keys, grace_s=0.2)
        async with recorder:
            delivery = RedisDelivery(ledgers.campaigns, recorder, ledgers.jobs, "me", lambda: True)
            claim = await delivery.claim(campaign, 0)
            own_server.kill()
            asking = asyncio.ensure_future(delivery.mark(claim, claim.recipients[0]))
            for recipient, outcome in zip(claim.recipients, (SENT, REFUSED, RELEASED), strict=True):
                delivery.record(claim, recipient, outcome)
            with structlog.testing.capture_logs() as logs:
                await recorder.__aexit__()
            with pytest.raises(asyncio.CancelledError):
                await asking
    lost = [line for line in logs if line["event"] == "not recorded"]
    assert [(line["campaign"], line["chunk"], line["index"], line["state"], line["code"]) for line in lost] == [
        (campaign.id, 0, 0, "sent", 250),
        (campaign.id, 0, 1, "refused", 550),
    ]


async def test_a_script_the_server_forgot_is_sent_again(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    await cast("Redis", ledgers.redis).script_flush()
    keys = [ledgers.keys.campaign(campaign.id), ledgers.keys.suppressed]
    words = msgspec.msgpack.encode(([0], ["0"], ["nobody"], ["a@x.test"], ["g"], [], [], []))
    assert await TRANSITION(ledgers.redis, keys, ledgers.keys.base(campaign.id), words) == [0]


async def test_what_is_remembered_of_a_claim_is_put_away_at_its_end(
    ledgers: Ledgers, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = await running(ledgers, drafts([1, 2]), drafts([3]))
    async with hand(ledgers) as worker:
        asked: list[Operation] = []
        submit = worker.recorder.submit

        def submitted(operation: Operation) -> None:
            asked.append(operation)
            submit(operation)

        monkeypatch.setattr(worker.recorder, "submit", submitted)
        ended, under_way = await worker.claim(campaign), await worker.claim(campaign, 1)
        await worker.record(under_way, under_way.recipients[0], SENT)
        await worker.finish(ended, SENT)
        remembered = [one for one in worker.recorder.memory if one.letter == "S"]
        assert [one.token for one in remembered] == [under_way.token, ended.token, ended.token]
        assert [one in asked for one in remembered] == [True, False, False]
