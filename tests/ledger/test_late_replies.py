"""A reply that its owner brings after his lease is kept beside the doubt, changes no state, and is shown."""

import pytest

from mailer.backends.redis.ledgers import Ledgers
from mailer.backends.redis.packing import doubts_in
from mailer.backends.redis.scripts import TAKE_OVER
from mailer.backends.redis.verification import verify
from mailer.vocabulary.acts import Resolution
from mailer.vocabulary.campaign import Campaign
from mailer.vocabulary.chunk import Claim
from mailer.vocabulary.recipient import State
from tests.ledger.campaigns import IN_DOUBT, SENT, checked, drafts, records, running
from tests.ledger.hands import Hand, hand

LATE = "worker died while sending; not re-sent; late: 250 2.0.0 Ok: queued as 4XyZ1234"


async def doubtful(ledgers: Ledgers, worker: Hand, people: int = 1) -> tuple[Campaign, Claim]:
    """A campaign whose recipients were in a body when the reconciler took their worker for dead."""
    campaign = await running(ledgers, drafts(range(1, people + 1)))
    claim = await worker.claim(campaign)
    for recipient in claim.recipients:
        assert await worker.mark(claim, recipient)
    await TAKE_OVER(
        ledgers.redis, [ledgers.keys.campaign(campaign.id)], ledgers.keys.base(campaign.id), 0, claim.token, 1
    )
    return campaign, claim


async def pack_it(worker: Hand, campaign: Campaign) -> None:
    """As the next run of the chunk does."""
    await worker.delivery.end_run(await worker.claim(campaign))


async def told(ledgers: Ledgers, campaign: Campaign) -> list[tuple[State, str | None]]:
    return [(record.state, record.text) for record in await records(ledgers, campaign)]


async def test_a_late_reply_is_kept_beside_the_doubt(ledgers: Ledgers) -> None:
    async with hand(ledgers) as worker:
        campaign, claim = await doubtful(ledgers, worker)
        worker.delivery.record(claim, claim.recipients[0], SENT)
        await worker.delivery.end_run(claim)
    assert await told(ledgers, campaign) == [(State.IN_DOUBT, LATE)]
    await checked(ledgers, campaign)


async def test_it_is_kept_when_everybody_is_packed_already(ledgers: Ledgers) -> None:
    async with hand(ledgers) as worker, hand(ledgers) as other:
        campaign, claim = await doubtful(ledgers, worker)
        await pack_it(other, campaign)
        await worker.record(claim, claim.recipients[0], SENT)
        # Nobody has packed it yet; nothing is missing, and nothing is wrong.
        assert await told(ledgers, campaign) == [(State.IN_DOUBT, LATE)]
        assert await verify(ledgers.redis, ledgers.keys, campaign.id) == []
        await worker.delivery.end_run(claim)
    assert await told(ledgers, campaign) == [(State.IN_DOUBT, LATE)]
    base = ledgers.keys.base(campaign.id)
    assert not await ledgers.redis.exists(base + "o:0")
    assert await verify(ledgers.redis, ledgers.keys, campaign.id) == []
    status = await checked(ledgers, campaign)
    assert (status.state.value, status.totals.in_doubt, status.totals.sent) == ("finished", 1, 0)


async def test_a_late_reply_that_is_written_twice_stands_there_once(ledgers: Ledgers) -> None:
    async with hand(ledgers) as worker, hand(ledgers) as other:
        campaign, claim = await doubtful(ledgers, worker)
        await pack_it(other, campaign)
        for _ in range(2):
            await worker.record(claim, claim.recipients[0], SENT)
        assert await told(ledgers, campaign) == [(State.IN_DOUBT, LATE)]
        await worker.delivery.end_run(claim)
    assert await told(ledgers, campaign) == [(State.IN_DOUBT, LATE)]


async def test_what_comes_from_another_claim_is_not_kept(ledgers: Ledgers) -> None:
    async with hand(ledgers) as worker, hand(ledgers) as other:
        campaign, claim = await doubtful(ledgers, worker)
        await pack_it(other, campaign)
        stranger = Claim(campaign_id=campaign.id, chunk=0, token="somebody.1", redis_ms=claim.redis_ms)
        await other.record(stranger, claim.recipients[0], SENT)
    assert await told(ledgers, campaign) == [(State.IN_DOUBT, LATE.partition("; late")[0])]


async def test_the_own_doubt_of_the_owner_is_nothing_new(ledgers: Ledgers) -> None:
    async with hand(ledgers) as worker, hand(ledgers) as other:
        campaign, claim = await doubtful(ledgers, worker)
        await pack_it(other, campaign)
        await worker.record(claim, claim.recipients[0], IN_DOUBT)
    assert await told(ledgers, campaign) == [(State.IN_DOUBT, LATE.partition("; late")[0])]


@pytest.mark.parametrize("resolution", [Resolution.SENT, Resolution.RESEND])
async def test_what_an_operator_settles_takes_nothing_from_the_others(ledgers: Ledgers, resolution: Resolution) -> None:
    async with hand(ledgers) as worker, hand(ledgers) as other:
        campaign, claim = await doubtful(ledgers, worker, people=2)
        await pack_it(other, campaign)
        first, second = claim.recipients
        assert await ledgers.control.resolve(campaign.id, [first.email], resolution) == 1
        worker.delivery.record(claim, first, SENT)
        worker.delivery.record(claim, second, SENT)
        await worker.delivery.end_run(claim)
    before, after = await told(ledgers, campaign)
    assert before[0] is (State.SENT if resolution is Resolution.SENT else State.QUEUED)
    assert after == (State.IN_DOUBT, LATE)
    await checked(ledgers, campaign)


async def test_only_whoever_is_in_doubt_has_his_claim_in_the_packed_form(ledgers: Ledgers) -> None:
    async with hand(ledgers) as worker, hand(ledgers) as other:
        campaign, claim = await doubtful(ledgers, worker, people=2)
        await pack_it(other, campaign)
        await ledgers.control.resolve(campaign.id, [claim.recipients[0].email], Resolution.FAILED)
    blob = await ledgers.redis.get(ledgers.keys.base(campaign.id) + "f:0")
    assert blob is not None
    assert doubts_in(blob) == {1: claim.token}
