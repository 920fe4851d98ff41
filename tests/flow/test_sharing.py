"""Sharing: a small campaign is not stuck behind a big one, over a relay that both of them need."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from mailer.backends.redis.ledgers import Ledgers
from mailer.backends.redis.limiter import RedisLimiter
from mailer.backends.smtp.pool import SmtpPool
from mailer.flow.delivery import Delivery
from mailer.flow.run import Route
from mailer.vocabulary.campaign import Campaign, CampaignState
from mailer.vocabulary.recipient import State
from mailer.vocabulary.settings import SmtpSettings
from tests.ledger.campaigns import checked, drafts, records, running
from tests.ledger.hands import hand
from tests.relays.scripted import ScriptedRelay
from tests.servers import until

SETTINGS = SmtpSettings(local_hostname="client.test", command_timeout=5, reply_timeout=5)


@asynccontextmanager
async def at_work(ledgers: Ledgers, relay: ScriptedRelay, connections: int) -> AsyncIterator[tuple[Delivery, Route]]:
    pool = SmtpPool(relay.route(), None, replace(SETTINGS, max_connections=connections))
    route = Route(pool, connections, "relay.test:587")
    async with hand(ledgers) as worker:
        limiter = RedisLimiter(ledgers.redis, ledgers.keys)
        yield Delivery(worker.delivery, lambda campaign: route, "here:1", limiter), route
    await pool.close()


async def big_and_small(ledgers: Ledgers) -> tuple[Campaign, Campaign]:
    big = await running(ledgers, drafts(range(1, 301)), drafts(range(301, 601)))
    return big, await running(ledgers, drafts(range(1001, 1004)), key="small")


@pytest.mark.parametrize(("connections", "width"), [(1, 1), (2, 2), (5, 5), (4, 2)])
async def test_a_small_campaign_goes_between_two_messages_of_a_big_one_that_has_all_connections(
    ledgers: Ledgers, connections: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the relay has asked for less than the route allows."""
    monkeypatch.setattr("mailer.policy.turns.TURN_S", 0.01)
    big, small = await big_and_small(ledgers)
    async with ScriptedRelay() as relay:
        async with at_work(ledgers, relay, connections) as (delivery, route), asyncio.TaskGroup() as group:
            if width < connections:
                route.slowed(route.room.congestion.cuts)
                monkeypatch.setattr(route.room, "worked", lambda cuts: None)
                assert route.room.congestion.width == width
            for chunk in (0, 1):
                group.create_task(delivery.work(big.id, chunk))
            await until(lambda: len(relay.deliveries) >= 20)
            await delivery.work(small.id, 0)
            assert (await checked(ledgers, small)).state is CampaignState.FINISHED
            assert len(relay.deliveries) < 300
        assert set(Counter(delivery.recipients for delivery in relay.deliveries).values()) == {1}
        assert (len(relay.deliveries), relay.connections) == (603, width)
    assert (await checked(ledgers, big)).totals.sent == 600


async def test_a_campaign_that_is_alone_keeps_its_connections(
    ledgers: Ledgers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks of one campaign take none from each other: that would help nobody."""
    monkeypatch.setattr("mailer.policy.turns.TURN_S", 0.0)
    big, _ = await big_and_small(ledgers)
    loans: list[str] = []
    async with ScriptedRelay() as relay:
        async with at_work(ledgers, relay, 2) as (delivery, route):
            lend = route.pool.session

            def counted(borrower: str) -> object:
                loans.append(borrower)
                return lend(borrower)

            monkeypatch.setattr(route.pool, "session", counted)
            await asyncio.gather(*(delivery.work(big.id, chunk) for chunk in (0, 1)))
        assert len(relay.deliveries) == 600
    assert 2 <= len(loans) <= 4


async def test_a_slow_chunk_is_given_back_after_a_while_so_that_others_are_worked_on(
    ledgers: Ledgers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody of it is lost, and the attempt of nobody who was given back counts."""
    big, small = await big_and_small(ledgers)
    async with ScriptedRelay() as relay, at_work(ledgers, relay, 2) as (delivery, _):
        working = asyncio.create_task(delivery.work(big.id, 0))
        await until(lambda: len(relay.deliveries) >= 10)
        monkeypatch.setattr("mailer.flow.run.CHUNK_DEADLINE_S", 0.0)
        await working
        done = (await checked(ledgers, big)).totals
        assert done.sent == len(relay.deliveries) < 300
        assert done.queued == 600 - done.sent
        monkeypatch.undo()
        await delivery.work(small.id, 0)
        await delivery.work(big.id, 0)
        assert (await checked(ledgers, big)).totals.sent == 300
    assert {record.attempts for record in await records(ledgers, big) if record.state is State.SENT} == {1}
