"""Scheduling: a campaign waits for its time, begins by itself, and is not begun when it is far too late."""

import asyncio
from datetime import UTC, datetime

import pytest

from mailer.backends.redis.ledgers import Ledgers
from mailer.backends.redis.server import redis_ms
from mailer.policy.selection import select
from mailer.vocabulary.campaign import Campaign, CampaignState, PausedBy
from mailer.vocabulary.chunk import Draft
from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.settings import DeliverySettings
from tests.ledger.campaigns import SENT, checked, drafts, proposal, work_off
from tests.ledger.hands import hand, reconciler
from tests.ledger.test_accepting import SUPPRESSED
from tests.operator.recount import is_live, sound, waiting_jobs

HOUR_MS = 3_600_000


async def scheduled(
    ledgers: Ledgers, in_ms: int, *chunks: list[Draft], max_lateness: float = 21600.0, complete: bool = True
) -> Campaign:
    """A campaign that begins in so many milliseconds."""
    delivery = DeliverySettings(max_lateness=max_lateness)
    campaign = await ledgers.intake.open(proposal(delivery=delivery))
    for chunk in chunks or (drafts([1, 2]), drafts([3])):
        assert not await ledgers.intake.accept(campaign, chunk)
    at_ms = await redis_ms(ledgers.redis) + in_ms
    assert await ledgers.intake.seal(campaign, "run", invalid=0, duplicate=0, complete=complete, at_ms=at_ms)
    return campaign


async def brought_forward(ledgers: Ledgers, campaign: Campaign, by_ms: int) -> None:
    """As if so much time had passed since it was scheduled."""
    await ledgers.redis.eval(
        "return redis.call('HINCRBY', KEYS[1], 'at', ARGV[1])", 1, ledgers.keys.campaign(campaign.id), -by_ms
    )


async def test_a_scheduled_campaign_has_no_job_and_gives_no_claim_before_its_time(ledgers: Ledgers) -> None:
    campaign = await scheduled(ledgers, HOUR_MS)
    status = await sound(ledgers, campaign)
    assert status.state is CampaignState.SCHEDULED
    assert status.at_ms is not None
    assert not status.is_over
    assert await is_live(ledgers, campaign)
    assert await reconciler(ledgers).revive() == 0
    assert await waiting_jobs(ledgers, campaign) == set()
    async with hand(ledgers) as worker:
        assert not (await worker.claim(campaign)).recipients
    assert not await ledgers.intake.seal(campaign, "other", invalid=0, duplicate=0, complete=True)
    assert await ledgers.campaigns.is_idle()


async def test_it_begins_when_its_time_has_come(ledgers: Ledgers) -> None:
    campaign = await scheduled(ledgers, HOUR_MS)
    healer = reconciler(ledgers)
    due_s = await healer.next_due_s()
    assert due_s is not None
    assert 3590 < due_s <= 3600
    await brought_forward(ledgers, campaign, HOUR_MS)
    assert await healer.next_due_s() == 0.0
    assert await healer.revive() == 2
    assert await healer.next_due_s() is None
    assert (await sound(ledgers, campaign)).state is CampaignState.RUNNING
    assert await waiting_jobs(ledgers, campaign) == {0, 1}
    assert await healer.revive() == 0
    await work_off(ledgers, campaign)
    assert (await sound(ledgers, campaign)).state is CampaignState.FINISHED


async def test_two_that_lead_at_once_begin_it_once(ledgers: Ledgers) -> None:
    campaign = await scheduled(ledgers, HOUR_MS)
    await brought_forward(ledgers, campaign, HOUR_MS)
    status = await ledgers.reading.status(campaign.id)
    assert status.at_ms is not None
    began = await asyncio.gather(*(ledgers.campaigns.begin(campaign.id, status.at_ms) for _ in range(4)))
    assert sorted(filter(None, began)) == [CampaignState.RUNNING]


async def test_whoever_dies_after_beginning_it_loses_no_chunk(ledgers: Ledgers) -> None:
    campaign = await scheduled(ledgers, HOUR_MS)
    await brought_forward(ledgers, campaign, HOUR_MS)
    status = await ledgers.reading.status(campaign.id)
    await ledgers.campaigns.begin(campaign.id, status.at_ms or 0)
    assert await waiting_jobs(ledgers, campaign) == set()
    assert await reconciler(ledgers).revive() == 2
    assert await waiting_jobs(ledgers, campaign) == {0, 1}


async def test_a_time_that_is_over_when_it_is_sealed_is_now(ledgers: Ledgers) -> None:
    campaign = await scheduled(ledgers, -HOUR_MS, max_lateness=1.0)
    assert (await sound(ledgers, campaign)).state is CampaignState.RUNNING
    assert await waiting_jobs(ledgers, campaign) == {0, 1}


async def test_one_that_is_too_late_is_paused_with_the_reason_and_runs_when_it_is_resumed(ledgers: Ledgers) -> None:
    campaign = await scheduled(ledgers, HOUR_MS, max_lateness=60.0)
    await brought_forward(ledgers, campaign, HOUR_MS + 61_000)
    assert await reconciler(ledgers).revive() == 0
    status = await sound(ledgers, campaign)
    assert (status.state, status.paused_by) == (CampaignState.PAUSED, PausedBy.SCHEDULE)
    assert status.at_ms is not None
    time = datetime.fromtimestamp(status.at_ms // 1000, UTC).isoformat().replace("+00:00", "Z")
    assert status.paused_reason == f"missed: it was to begin at {time}"
    assert await ledgers.control.resume(campaign.id)
    assert (await sound(ledgers, campaign)).state is CampaignState.RUNNING
    assert await waiting_jobs(ledgers, campaign) == {0, 1}


async def test_one_that_is_late_but_not_too_late_begins(ledgers: Ledgers) -> None:
    campaign = await scheduled(ledgers, HOUR_MS, max_lateness=60.0)
    await brought_forward(ledgers, campaign, HOUR_MS + 50_000)
    assert await reconciler(ledgers).revive() == 2
    assert (await checked(ledgers, campaign)).state is CampaignState.RUNNING


async def test_a_scheduled_campaign_is_paused_and_waits_for_its_time_again(ledgers: Ledgers) -> None:
    campaign = await scheduled(ledgers, HOUR_MS)
    assert await ledgers.control.pause(campaign.id, "the boss reads it first")
    assert not await ledgers.control.pause(campaign.id, "still reading")
    await reconciler(ledgers).revive()
    status = await sound(ledgers, campaign)
    assert (status.state, status.paused_reason) == (CampaignState.PAUSED, "still reading")
    assert await ledgers.control.resume(campaign.id)
    assert not await ledgers.control.resume(campaign.id)
    status = await sound(ledgers, campaign)
    assert (status.state, status.paused_reason) == (CampaignState.SCHEDULED, None)
    assert await waiting_jobs(ledgers, campaign) == set()


async def test_one_whose_time_came_while_it_was_paused_runs_when_it_is_resumed(ledgers: Ledgers) -> None:
    campaign = await scheduled(ledgers, HOUR_MS, max_lateness=1.0)
    await ledgers.control.pause(campaign.id, "wait")
    await brought_forward(ledgers, campaign, 2 * HOUR_MS)
    await reconciler(ledgers).revive()
    assert (await sound(ledgers, campaign)).paused_by is PausedBy.OPERATOR
    assert await ledgers.control.resume(campaign.id)
    assert (await sound(ledgers, campaign)).state is CampaignState.RUNNING
    assert await waiting_jobs(ledgers, campaign) == {0, 1}


async def test_a_scheduled_campaign_is_cancelled_and_never_begins(ledgers: Ledgers) -> None:
    campaign = await scheduled(ledgers, HOUR_MS)
    assert await ledgers.control.cancel(campaign.id, "not at all") == 3
    await brought_forward(ledgers, campaign, 2 * HOUR_MS)
    assert await reconciler(ledgers).revive() == 0
    status = await sound(ledgers, campaign)
    assert (status.state, status.totals.cancelled) == (CampaignState.CANCELLED, 3)
    assert not await is_live(ledgers, campaign)


async def test_nobody_of_a_scheduled_campaign_is_retried(ledgers: Ledgers) -> None:
    campaign = await scheduled(ledgers, HOUR_MS)
    with pytest.raises(UsageError, match="is scheduled: nobody can be queued again") as caught:
        await ledgers.control.retry(campaign.id, select(None, None, None, None))
    assert caught.value.code == "E114"


async def test_one_with_nobody_to_send_to_is_finished_when_it_begins(ledgers: Ledgers) -> None:
    campaign = await scheduled(
        ledgers, HOUR_MS, [Draft(row=1, email="a@x.test", content=b"", outcome=SUPPRESSED)], max_lateness=60.0
    )
    assert (await checked(ledgers, campaign)).state is CampaignState.SCHEDULED
    await brought_forward(ledgers, campaign, HOUR_MS)
    await reconciler(ledgers).revive()
    assert (await checked(ledgers, campaign)).state is CampaignState.FINISHED


async def test_what_comes_while_it_waits_is_sent_with_the_rest(ledgers: Ledgers) -> None:
    campaign = await scheduled(ledgers, HOUR_MS, drafts([1]), complete=False)
    assert not await ledgers.intake.accept(campaign, drafts([2]))
    assert await waiting_jobs(ledgers, campaign) == set()
    await brought_forward(ledgers, campaign, HOUR_MS)
    assert await reconciler(ledgers).revive() == 2
    await work_off(ledgers, campaign, SENT)
    assert (await checked(ledgers, campaign)).state is CampaignState.RUNNING
    await ledgers.intake.complete(campaign, "run", invalid=0, duplicate=0)
    assert (await sound(ledgers, campaign)).state is CampaignState.FINISHED
