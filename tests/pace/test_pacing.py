"""Delivery asks before a message begins: rates are kept, and nobody waits for another's limit."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from mailer.backends.redis.ledgers import Ledgers
from mailer.backends.redis.limiter import RedisLimiter
from mailer.flow.delivery import Delivery
from mailer.flow.run import Route
from mailer.interfaces.limiter import Bucket, Limiter
from mailer.vocabulary.campaign import Campaign, CampaignState
from mailer.vocabulary.chunk import Draft
from mailer.vocabulary.quantity import parse_rate
from mailer.vocabulary.settings import DeliverySettings
from tests.flow.relay import OK, ScriptedRelay, Step
from tests.ledger.campaigns import checked, message, records, running
from tests.ledger.hands import hand, reconciler
from tests.pace.model import busiest
from tests.servers import until


@dataclass
class Relay(ScriptedRelay):
    """Remembers when messages began."""

    begun: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.script = self._take

    def _take(self, email: str, tried: int) -> Step:
        self.begun[email] = time.monotonic()
        return OK


def people(*domains: str, count: int = 10) -> list[Draft]:
    """So many at each of these domains, in turns."""
    emails = [f"p{number}@{domain}" for number in range(count) for domain in domains]
    return [Draft(row=row, email=email, content=message(row)) for row, email in enumerate(emails, 1)]


def limits(*rates: str, **domains: str) -> DeliverySettings:
    by_domain = {f"{name}.test": parse_rate(rate) for name, rate in domains.items()}
    return DeliverySettings(rate=tuple(parse_rate(rate) for rate in rates), domain_rate=by_domain)


@asynccontextmanager
async def at_work(
    ledgers: Ledgers, relay: ScriptedRelay, limiter: Limiter | None = None, connections: int = 3
) -> AsyncIterator[Delivery]:
    route = Route(relay, connections, "relay.test:587")
    async with hand(ledgers) as worker:
        counting = limiter or RedisLimiter(ledgers.redis, ledgers.keys)
        yield Delivery(worker.delivery, lambda campaign: route, "here:1", counting)


async def rests_for(ledgers: Ledgers, campaign: Campaign) -> float:
    status = await ledgers.reading.status(campaign.id)
    seconds, micro = await ledgers.redis.time()
    assert status.next_due_ms is not None
    return status.next_due_ms / 1000 - (seconds + micro / 1e6)


def at(relay: Relay, domain: str) -> list[float]:
    return [begun for email, begun in relay.begun.items() if email.endswith(f"@{domain}")]


@pytest.mark.thorough
async def test_a_rate_is_kept_over_all_chunks_and_campaigns_of_a_relay(ledgers: Ledgers) -> None:
    drafts = people("x.test", count=12)
    one = await running(ledgers, drafts[:6], drafts[6:], delivery=limits("20/s"))
    other = await running(ledgers, people("y.test", count=12), delivery=limits("20/s"))
    relay = Relay()
    async with at_work(ledgers, relay) as delivery:
        await asyncio.gather(delivery.work(one.id, 0), delivery.work(one.id, 1), delivery.work(other.id, 0))
    for campaign in (one, other):
        assert (await checked(ledgers, campaign)).state is CampaignState.FINISHED
    begun = list(relay.begun.values())
    assert len(begun) == 24
    # A burst of two, and sleepers may be woken a little late.
    assert busiest(begun, 0.5) <= 10 + 2 + 3
    assert 1.0 < max(begun) - min(begun) < 4.0


async def test_who_must_wait_long_waits_in_the_queue_and_has_no_attempt_burned(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, people("x.test", count=5), delivery=limits("10/min"))
    relay = Relay()
    async with at_work(ledgers, relay) as delivery:
        await delivery.work(campaign.id, 0)
        assert 4 < await rests_for(ledgers, campaign) <= 6
        status = await checked(ledgers, campaign)
        assert (status.totals.sent, status.totals.queued) == (1, 4)
        assert sorted(record.attempts for record in await records(ledgers, campaign)) == [0, 0, 0, 0, 1]
        # Whoever comes too early does not even claim.
        await delivery.work(campaign.id, 0)
        assert await rests_for(ledgers, campaign) > 3
    assert relay.opened == 1


async def test_a_full_quota_is_waited_for_in_the_queue_however_long_that_is(ledgers: Ledgers) -> None:
    drafts = people("x.test", count=12)
    campaign = await running(ledgers, drafts[:6], drafts[6:], delivery=limits("4/day", "50/s"))
    relay = Relay()
    begun_at = time.monotonic()
    async with at_work(ledgers, relay) as delivery:
        await asyncio.gather(delivery.work(campaign.id, 0), delivery.work(campaign.id, 1))
    # What may go goes at once, not one message each six hours.
    assert time.monotonic() - begun_at < 4
    status = await checked(ledgers, campaign)
    assert (status.totals.sent, status.totals.queued) == (4, 8)
    assert sum(record.attempts for record in await records(ledgers, campaign)) == 4
    # Both chunks rest until the first message counts no longer: a day, and less than a 60th of one.
    assert 86_400 - 5 < await rests_for(ledgers, campaign) <= 86_401 * 61 / 60
    due = await ledgers.redis.zrange(ledgers.keys.base(campaign.id) + "due", 0, -1)
    assert sorted(due) == [b"0", b"1"]
    # Nobody makes a job for them before that, and the worker knows when to look.
    healing = reconciler(ledgers)
    waiting = await ledgers.jobs.waiting()
    assert await healing.revive() == 0
    assert await ledgers.jobs.waiting() == waiting
    next_due_s = await healing.next_due_s()
    assert next_due_s is not None
    assert 86_400 - 5 < next_due_s <= 86_401 * 61 / 60


async def test_when_a_quota_has_room_again_the_chunk_goes_on(ledgers: Ledgers) -> None:
    """After the window: the same chunk, the same claim, and nobody twice."""
    campaign = await running(ledgers, people("x.test", count=6), delivery=limits("4/day", "50/s"))
    relay = Relay()
    async with at_work(ledgers, relay) as delivery:
        await delivery.work(campaign.id, 0)
        assert (await checked(ledgers, campaign)).totals.sent == 4
        # As if a day had passed: what the quota knew has expired.
        async with ledgers.redis.pipeline(transaction=False) as pipe:
            pipe.expire(f"{ledgers.keys.prefix}:quota:relay.test:587", 0)
            await pipe.execute()
        await delivery.work(campaign.id, 0)
    assert (await checked(ledgers, campaign)).state is CampaignState.FINISHED
    assert relay.taken.total() == len(relay.begun) == 6


async def test_a_quota_of_the_relay_is_kept_beside_the_rate_of_a_domain(ledgers: Ledgers) -> None:
    campaign = await running(
        ledgers, people("slow.test", "x.test", count=6), delivery=limits("50/s", "8/h", slow="30/s")
    )
    relay = Relay()
    async with at_work(ledgers, relay) as delivery:
        await delivery.work(campaign.id, 0)
    assert len(relay.begun) == 8
    assert 3600 - 5 < await rests_for(ledgers, campaign) <= 3661
    assert (await checked(ledgers, campaign)).totals.queued == 4


async def test_a_domain_that_must_wait_holds_up_nobody_else(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, people("slow.test", "x.test"), delivery=limits(slow="10/min"))
    relay = Relay()
    begun_at = time.monotonic()
    async with at_work(ledgers, relay) as delivery:
        await delivery.work(campaign.id, 0)
    assert time.monotonic() - begun_at < 4
    assert (len(at(relay, "x.test")), len(at(relay, "slow.test"))) == (10, 1)
    assert 2 < await rests_for(ledgers, campaign) <= 6
    assert (await checked(ledgers, campaign)).totals.queued == 9


@pytest.mark.thorough
async def test_a_domain_and_its_relay_both_keep_their_rates(ledgers: Ledgers) -> None:
    campaign = await running(
        ledgers, people("slow.test", "x.test", "y.test", count=8), delivery=limits("30/s", slow="8/s")
    )
    relay = Relay()
    async with at_work(ledgers, relay) as delivery:
        await delivery.work(campaign.id, 0)
    assert (await checked(ledgers, campaign)).state is CampaignState.FINISHED
    assert busiest(at(relay, "slow.test"), 0.5) <= 4 + 1 + 2
    assert busiest(list(relay.begun.values()), 0.5) <= 15 + 3 + 4
    # Those of the slow domain fill the gaps: they do not wait for the others, nor the others for them.
    assert min(at(relay, "slow.test")) < max(at(relay, "x.test"))
    others = at(relay, "x.test") + at(relay, "y.test")
    assert max(others) - min(others) < 3


@pytest.mark.parametrize("limited", [limits("40/min"), limits(x="40/min")], ids=["relay", "domain"])
async def test_a_drain_ends_a_wait_at_once(ledgers: Ledgers, limited: DeliverySettings) -> None:
    campaign = await running(ledgers, people("x.test", count=5), delivery=limited)
    relay = Relay()
    async with at_work(ledgers, relay) as delivery:
        working = asyncio.create_task(delivery.work(campaign.id, 0))
        await until(lambda: relay.taken.total() == 1)
        drained_at = time.monotonic()
        delivery.drain()
        await working
        assert time.monotonic() - drained_at < 1
    status = await checked(ledgers, campaign)
    assert (status.totals.sent, status.totals.queued) == (1, 4)
    # The first job, which this test has not taken, and one for the rest, at once.
    assert await ledgers.jobs.waiting() == 2


async def test_a_slow_line_is_not_waited_for_by_more_than_it_serves(ledgers: Ledgers) -> None:
    drafts = people("x.test", count=20)
    campaign = await running(ledgers, drafts[:10], drafts[10:], delivery=limits("1/s"))
    relay = Relay()
    async with at_work(ledgers, relay) as delivery:
        first = asyncio.create_task(delivery.work(campaign.id, 0))
        await until(lambda: relay.taken.total() == 1)
        # Its job's slot is free for others.
        async with asyncio.timeout(0.8):
            await delivery.work(campaign.id, 1)
        assert 1 < await rests_for(ledgers, campaign) <= 2
        delivery.drain()
        await first
    await checked(ledgers, campaign)


class Away:
    """A limiter that nobody can ask."""

    async def take(self, buckets: Sequence[Bucket], *, most_s: float) -> float:
        if most_s < 0:
            return 0.0
        raise ConnectionError("the queue server is away")


async def test_without_anybody_who_counts_nothing_is_sent(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, people("x.test"), delivery=limits("1000/s"))
    relay = Relay()
    async with at_work(ledgers, relay, Away()) as delivery:
        await delivery.work(campaign.id, 0)
    assert not relay.begun
    assert 0 < await rests_for(ledgers, campaign) <= 1
    assert (await checked(ledgers, campaign)).totals.queued == 10


class Never:
    """A limiter that must not be asked."""

    async def take(self, buckets: Iterable[Bucket], *, most_s: float) -> float:
        raise AssertionError("asked")


async def test_without_a_rate_nobody_is_asked(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, people("x.test"))
    other = await running(ledgers, people("x.test"), delivery=limits(slow="1/h"))
    async with at_work(ledgers, Relay(), Never()) as delivery:
        await delivery.work(campaign.id, 0)
    async with at_work(ledgers, Relay()) as delivery:
        await delivery.work(other.id, 0)
    for done in (campaign, other):
        assert (await checked(ledgers, done)).totals.sent == 10


@dataclass
class Reluctant(Relay):
    """Opens its first session late."""

    late_s: float = 0.0

    @asynccontextmanager
    async def session(self, borrower: str) -> AsyncIterator[object]:  # type: ignore[override]  # (the session is handed through)
        late_s, self.late_s = self.late_s, 0.0
        await asyncio.sleep(late_s)
        async with super().session(borrower) as session:
            yield session


async def test_a_place_that_was_missed_is_taken_anew(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, people("x.test", count=4), delivery=limits("10/s"))
    relay = Reluctant(late_s=0.25)
    async with at_work(ledgers, relay) as delivery:
        await delivery.work(campaign.id, 0)
    assert (await checked(ledgers, campaign)).totals.sent == 4
    begun = sorted(relay.begun.values())
    assert min(later - earlier for earlier, later in itertools.pairwise(begun)) > 0.05
