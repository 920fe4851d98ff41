"""Pausing and resuming: effective at once everywhere, with the reason, and the work goes on without waiting."""

import pytest

from mailer.backends.redis.ledgers import Ledgers
from mailer.vocabulary.campaign import CampaignState, PausedBy
from mailer.vocabulary.errors import UsageError
from tests.ledger.campaigns import RELEASED, SENT, deferred, drafts, running
from tests.ledger.hands import hand
from tests.operator.recount import forget_jobs, sound, waiting_jobs


async def test_a_paused_campaign_gives_no_claim_and_no_mark_and_tells_why(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2]), drafts([3]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        assert await ledgers.control.pause(campaign.id, "the boss is on the phone")
        assert not await worker.mark(claim, claim.recipients[0])
        assert not (await worker.claim(campaign, 1)).recipients
        for recipient in claim.recipients:
            worker.delivery.record(claim, recipient, RELEASED)
        await worker.delivery.end_run(claim)
    status = await sound(ledgers, campaign)
    assert (status.state, status.paused_reason, status.paused_by) == (
        CampaignState.PAUSED,
        "the boss is on the phone",
        PausedBy.OPERATOR,
    )


async def test_an_operator_may_give_a_paused_campaign_his_own_reason(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    await ledgers.campaigns.pause(campaign.id, "E411 login refused", PausedBy.SERVICE)
    assert not await ledgers.control.pause(campaign.id, "wait for the new password")
    status = await sound(ledgers, campaign)
    assert (status.paused_reason, status.paused_by) == ("wait for the new password", PausedBy.OPERATOR)


async def test_resuming_hands_in_a_job_for_everything_open_at_once(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2]), drafts([3]), drafts([4]))
    async with hand(ledgers) as worker:
        await worker.finish(await worker.claim(campaign, 1), SENT)
        await ledgers.control.pause(campaign.id, "later")
        await forget_jobs(ledgers)
        assert await waiting_jobs(ledgers, campaign) == set()
        assert await ledgers.control.resume(campaign.id)
        assert await waiting_jobs(ledgers, campaign) == {0, 2}
        assert not await ledgers.control.resume(campaign.id)
        for chunk in (0, 2):
            await worker.finish(await worker.claim(campaign, chunk), SENT)
    assert (await sound(ledgers, campaign)).state is CampaignState.FINISHED


async def test_resuming_does_not_hurry_what_is_not_due(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        worker.delivery.record(claim, claim.recipients[0], deferred(claim.redis_ms + 60_000))
        await worker.delivery.end_run(claim)
        await ledgers.control.pause(campaign.id, "later")
        await ledgers.control.resume(campaign.id)
        assert not (await worker.claim(campaign)).recipients
    assert (await sound(ledgers, campaign)).next_due_ms == claim.redis_ms + 60_000


async def test_what_is_over_can_neither_be_paused_nor_resumed(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    await ledgers.control.cancel(campaign.id, "stop")
    for act in (ledgers.control.pause(campaign.id, "x"), ledgers.control.resume(campaign.id)):
        with pytest.raises(UsageError, match="is cancelled") as caught:
            await act
        assert caught.value.code == "E114"
