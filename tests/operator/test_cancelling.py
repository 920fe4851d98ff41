"""Cancelling: nothing new begins, what waits is cancelled with the reason, what is in flight finishes."""

import pytest

from mailer.backends.redis.connection import explained
from mailer.backends.redis.ledgers import Ledgers
from mailer.backends.redis.scripts import CANCEL
from mailer.vocabulary.campaign import CampaignState
from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.outcome import Class
from tests.ledger.campaigns import RELEASED, SENT, deferred, drafts, proposal, running, states
from tests.ledger.hands import hand, reconciler
from tests.operator.recount import is_live, record_of, sound


async def test_whoever_waits_is_cancelled_and_the_reason_is_in_the_history(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2]), drafts([3, 4]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        worker.delivery.record(claim, claim.recipients[0], deferred(claim.redis_ms + 60_000))
        worker.delivery.record(claim, claim.recipients[1], SENT)
        await worker.delivery.end_run(claim)
    assert await ledgers.control.cancel(campaign.id, "wrong price") == 3
    status = await sound(ledgers, campaign)
    assert (status.state, status.cancelled_reason) == (CampaignState.CANCELLED, "wrong price")
    assert (status.totals.cancelled, status.totals.sent, status.totals.open) == (3, 1, 0)
    assert status.finished_ms is not None
    assert not await is_live(ledgers, campaign)
    record = await record_of(ledgers, campaign, 1)
    assert (record.text, record.reason, record.phase, record.failure, record.attempts) == (
        "operator: cancel: wrong price",
        "operator",
        None,
        Class.LOCAL,
        1,
    )
    assert status.next_due_ms is None


async def test_a_cancelled_campaign_gives_no_claim_and_no_mark(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2]), drafts([3]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        assert await worker.mark(claim, claim.recipients[0])
        await ledgers.control.cancel(campaign.id, "")
        assert not await worker.mark(claim, claim.recipients[1])
        assert not (await worker.claim(campaign, 1)).recipients
        assert await states(ledgers, campaign) == ["sending", "claimed", "cancelled"]
        assert await is_live(ledgers, campaign)
        worker.delivery.record(claim, claim.recipients[0], SENT)
        worker.delivery.record(claim, claim.recipients[1], RELEASED)
        await worker.delivery.end_run(claim)
    status = await sound(ledgers, campaign)
    assert await states(ledgers, campaign) == ["sent", "cancelled", "cancelled"]
    assert status.finished_ms is not None
    await reconciler(ledgers).revive()
    assert not await is_live(ledgers, campaign)


async def test_a_refusal_for_now_that_comes_back_after_the_cancel_is_on_record_and_is_not_tried_again(
    ledgers: Ledgers,
) -> None:
    campaign = await running(ledgers, drafts([1]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        await ledgers.control.cancel(campaign.id, "stop")
        await worker.record(claim, claim.recipients[0], deferred(claim.redis_ms))
        assert await states(ledgers, campaign) == ["cancelled"]
        assert (await record_of(ledgers, campaign, 1)).attempts == 1
        await worker.delivery.end_run(claim)
    await sound(ledgers, campaign)


async def test_what_a_dead_worker_held_of_a_cancelled_campaign_is_cancelled_too(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        assert await worker.mark(claim, claim.recipients[0])
    await ledgers.control.cancel(campaign.id, "stop")
    healer = reconciler(ledgers)
    await healer.take_over()
    assert await states(ledgers, campaign) == ["in_doubt", "cancelled"]
    await healer.revive()
    await healer.revive()
    await sound(ledgers, campaign)
    assert not await is_live(ledgers, campaign)


async def test_whoever_cancels_and_dies_is_finished_by_the_reconciler_or_by_the_same_command_again(
    ledgers: Ledgers,
) -> None:
    for ending in ("reconciler", "command"):
        campaign = await running(ledgers, drafts(range(1, 30)), drafts(range(30, 40)))
        await CANCEL(ledgers.redis, [ledgers.keys.campaign(campaign.id)], "stop")
        await sound(ledgers, campaign)
        if ending == "reconciler":
            await reconciler(ledgers).revive()
            await reconciler(ledgers).revive()
        else:
            assert await ledgers.control.cancel(campaign.id, "other words") == 39
        status = await sound(ledgers, campaign)
        assert (status.totals.cancelled, status.cancelled_reason) == (39, "stop")
        assert not await is_live(ledgers, campaign)


async def test_cancelling_twice_changes_nothing_and_a_finished_campaign_cannot_be_cancelled(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2]))
    assert await ledgers.control.cancel(campaign.id, "first") == 2
    assert await ledgers.control.cancel(campaign.id, "second") == 0
    assert (await sound(ledgers, campaign)).cancelled_reason == "first"
    done = await running(ledgers, drafts([1]))
    async with hand(ledgers) as worker:
        await worker.finish(await worker.claim(done), SENT)
    draft = await ledgers.intake.open(proposal())
    for wrong in (done, draft):
        with pytest.raises(UsageError, match="cannot be cancelled") as caught:
            await ledgers.control.cancel(wrong.id, "late")
        assert caught.value.code == "E114"


async def test_whoever_still_reads_the_list_of_a_cancelled_campaign_is_told_so(ledgers: Ledgers) -> None:
    campaign = await ledgers.intake.open(proposal())
    await ledgers.intake.accept(campaign, drafts([1]))
    await ledgers.intake.seal(campaign, "run", invalid=0, duplicate=0, complete=False)
    await ledgers.control.cancel(campaign.id, "stop")
    with pytest.raises(UsageError, match="was cancelled") as caught, explained("here"):
        await ledgers.intake.accept(campaign, drafts([2]))
    assert caught.value.code == "E114"
    await sound(ledgers, campaign)
