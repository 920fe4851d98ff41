"""Delivery obeys a relay that asks for less: fewer messages at once, of all chunks together, and more again later."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import structlog.testing

from mailer.backends.redis.ledgers import Ledgers
from mailer.interfaces.session import Permit, Session
from mailer.vocabulary.envelope import Envelope, MailData, MailObject
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.quantity import parse_rate
from mailer.vocabulary.recipient import State
from mailer.vocabulary.settings import DeliverySettings
from mailer.vocabulary.transmission import Transmission
from tests.flow.relay import OK, Hangs, ScriptedRelay, ScriptedSession, Step, cut, says
from tests.flow.test_delivery import DOWN, Work, at_work
from tests.ledger.campaigns import checked, drafts, running, states
from tests.servers import until
from tests.thorough import first

THROTTLED = says(Phase.DOT, "454 4.7.0 Throttling failure: Maximum sending rate exceeded.")
BUSY = says(Phase.MAIL, "421 4.7.0 too many connections")


@dataclass
class Relay(ScriptedRelay):
    """No more than so many connections, as a pool; its sessions take the next message ahead.

    `begun` is how many were under way when each message began.
    """

    most: int = 4
    begun: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lent = asyncio.Semaphore(self.most)

    @asynccontextmanager
    async def session(self, borrower: str) -> AsyncIterator[Session]:
        async with self._lent, super().session(borrower):
            yield AheadSession(self)


class AheadSession(ScriptedSession):
    """One connection that has to be given the message it was told of."""

    looks_ahead = True

    def __init__(self, relay: Relay) -> None:
        super().__init__(relay)
        self._seen = relay
        self._announced: MailObject | None = None

    async def transmit(
        self, envelope: Envelope, data: MailData, permit: Permit, following: MailObject | None = None
    ) -> Transmission:
        assert self._announced is None or self._announced.envelope is envelope
        self._seen.begun.append(self._seen.busy + 1)
        self._announced = following
        return await super().transmit(envelope, data, permit)


def watched(work: Work) -> list[tuple[int, int]]:
    """From now on, for each message that begins: how many are under way, and how wide the route is."""
    found: list[tuple[int, int]] = []
    script = work.relay.script

    def look(email: str, tried: int) -> Step:
        found.append((work.relay.busy, work.route.room.congestion.width))
        return script(email, tried)

    work.relay.script = look
    return found


async def test_a_throttled_message_halves_what_is_under_way_and_good_ones_bring_it_back(ledgers: Ledgers) -> None:
    """Of all the chunks together; nobody is lost, and it is said once."""
    campaign = await running(ledgers, drafts(range(1, 101)), drafts(range(101, 201)))
    relay = Relay(lambda email, tried: THROTTLED if email == "r9@x0.test" and tried == 1 else OK)
    async with at_work(ledgers, relay, connections=4) as work:
        seen = watched(work)
        with structlog.testing.capture_logs() as logs:
            await asyncio.gather(*(work.delivery.work(campaign.id, chunk) for chunk in range(2)))
        assert work.route.room.congestion.width == 4
    assert [line["connections"] for line in logs if line["event"] == "relay asks for less"] == [2]
    narrow = [(busy, width) for busy, width in seen if width < 4]
    assert {width for _, width in narrow} == {2, 3}
    assert [(busy, width) for busy, width in narrow if busy > width] == []
    assert max(busy for busy, width in narrow if width == 2) == 2
    totals = (await checked(ledgers, campaign)).totals
    assert (totals.sent, totals.deferred) == (199, 1)
    assert set(relay.taken.values()) == {1}


async def test_connections_that_are_throttled_together_are_one_wish(ledgers: Ledgers) -> None:
    """Four replies to what was begun at the same time leave two connections and not none."""
    campaign = await running(ledgers, drafts(range(1, 5)), delivery=DeliverySettings(retry_delays=(60.0,)))
    relay = Relay(lambda email, tried: THROTTLED)
    async with at_work(ledgers, relay, connections=4) as work:
        await work.once(campaign)
        assert max(relay.begun) == 4
        assert work.route.room.congestion.width == 2


async def test_a_reply_that_is_about_the_recipient_slows_nobody_down(ledgers: Ledgers) -> None:
    """450 4.2.1 says that one mailbox gets too much."""
    campaign = await running(ledgers, drafts(range(1, 9)))
    full = says(Phase.RCPT, "450 4.2.1 The user you are trying to contact is receiving mail too quickly")
    async with at_work(ledgers, Relay(lambda email, tried: full), connections=4) as work:
        await work.once(campaign)
        assert not work.route.room.congestion.is_narrow
    assert set(await states(ledgers, campaign)) == {State.DEFERRED}


async def test_a_route_that_was_down_begins_with_one_message(ledgers: Ledgers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then two, then four: each of them stands for a message that went well."""
    monkeypatch.setattr("mailer.policy.breaker.SHORTEST", 0.05)
    campaign = await running(ledgers, drafts(range(1, 61)))
    async with at_work(ledgers, Relay(refusing=DOWN, most=8), connections=8) as work:
        await work.once(campaign)
        assert work.route.breaker.is_open
        work.relay.refusing = None
        await until(lambda: work.route.wait() == 0, within=3)
        seen = watched(work)
        await work.once(campaign)
        assert work.route.room.congestion.width == 8
    assert [width for width, _ in itertools.groupby(width for _, width in seen)] == [1, 2, 4, 8]
    assert [busy for busy, _ in seen[:3]] == [1, 1, 2]
    assert [(busy, width) for busy, width in seen if busy > width] == []
    assert set(await states(ledgers, campaign)) == {State.SENT}


async def test_a_connection_that_cannot_be_opened_leaves_fewer_to_be_tried(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    async with at_work(ledgers, ScriptedRelay(refusing=DOWN), connections=8) as work:
        await work.once(campaign)
        assert work.route.room.congestion.width == 4


async def test_who_has_a_rate_and_who_has_none_both_go_on_over_one_connection(ledgers: Ledgers) -> None:
    """Whoever finds room too late for his turn keeps the room for the next turn: nobody is left out."""
    paced = await running(ledgers, drafts(range(1, 21)), delivery=DeliverySettings(rate=(parse_rate("200/s"),)))
    other = await running(ledgers, *(drafts(range(first, first + 20)) for first in (1, 21)))
    async with at_work(ledgers, Relay(), connections=4) as work:
        room = work.route.room
        room.restarted()
        room.slowed(room.congestion.cuts)
        seen = watched(work)
        async with asyncio.timeout(10):
            await asyncio.gather(
                work.delivery.work(paced.id, 0), *(work.delivery.work(other.id, chunk) for chunk in range(2))
            )
    assert [(busy, width) for busy, width in seen if busy > width] == []
    assert {*await states(ledgers, paced), *await states(ledgers, other)} == {State.SENT}


async def test_a_drained_worker_does_not_wait_for_room(ledgers: Ledgers) -> None:
    """One message hangs on the only connection; the chunk that waits behind it is given back at once."""
    campaign = await running(ledgers, drafts([1]), drafts([2, 3]))
    async with at_work(ledgers, Relay(lambda *_: Hangs(Phase.DATA)), connections=4) as work:
        work.route.room.restarted()
        hanging = asyncio.create_task(work.delivery.work(campaign.id, 0))
        await work.relay.hanging.wait()
        waiting = asyncio.create_task(work.delivery.work(campaign.id, 1))
        await until(lambda: bool(work.route.room._waiting), within=3)
        work.delivery.drain()
        async with asyncio.timeout(3):
            await waiting
        assert not hanging.done()
        assert work.relay.tried.total() == 1
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)
    assert await states(ledgers, campaign) == ["queued"] * 3


@pytest.mark.parametrize("seed", first(4, range(12)))
async def test_whatever_a_relay_says_the_chunks_end_and_nobody_is_lost_or_sent_twice(
    ledgers: Ledgers, seed: int
) -> None:
    """Wide or narrow, cut, throttled, cancelled: there is always somebody who goes on."""
    chance = random.Random(seed)
    steps: list[Step] = [*[OK] * 12, THROTTLED, BUSY, cut(Phase.RCPT), says(Phase.RCPT, "421 4.7.28 unusual rate")]
    most = chance.randint(1, 5)
    relay = Relay(lambda email, tried: chance.choice(steps), most=most)
    campaign = await running(ledgers, *(drafts(range(first, first + 20)) for first in (1, 21, 41)))
    async with at_work(ledgers, relay, connections=most) as work:
        seen = watched(work)
        async with asyncio.timeout(10):
            working = [asyncio.create_task(work.delivery.work(campaign.id, chunk)) for chunk in range(3)]
            if seed % 3 == 0:
                await until(lambda: len(seen) > 10, within=3)
                working[0].cancel()
            await asyncio.gather(*working, return_exceptions=True)
        room = work.route.room
        assert (room._under_way, room._waiting) == (0, {})
    assert [(busy, width) for busy, width in seen if busy > width] == []
    assert max(relay.taken.values(), default=0) <= 1
    assert (await checked(ledgers, campaign)).totals.add_up
