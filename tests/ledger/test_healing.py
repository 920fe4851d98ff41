"""Healing: what dead workers held is given back, lost jobs are made again, retries run when they are due."""

import asyncio

import pytest
from arq.constants import in_progress_key_prefix, job_key_prefix

from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from mailer.vocabulary.campaign import Campaign, CampaignState, PausedBy
from mailer.vocabulary.recipient import State
from tests.ledger.campaigns import (
    REFUSED,
    RELEASED,
    SENT,
    all_keys,
    checked,
    deferred,
    drafts,
    records,
    running,
    states,
)
from tests.ledger.hands import hand, reconciler


async def jobs(ledgers: Ledgers) -> list[str]:
    """What waits in arq's queue: chunk and generation."""
    waiting = await ledgers.redis.zrange(ledgers.keys.queue, 0, -1)
    return sorted(":".join(job.decode().split(":")[-2:]) for job in waiting)


async def lose_jobs(ledgers: Ledgers) -> None:
    for job in await ledgers.redis.zrange(ledgers.keys.queue, 0, -1):
        await ledgers.redis.unlink(job_key_prefix + job.decode())
    await ledgers.redis.unlink(ledgers.keys.queue)


async def crash(ledgers: Ledgers, campaign: Campaign, *, marked: int = 0) -> list[int]:
    """A worker claims what it can, marks the first ones and dies. Returns the rows it had."""
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        for recipient in claim.recipients[:marked]:
            assert await worker.mark(claim, recipient)
    await reconciler(ledgers).take_over()
    await checked(ledgers, campaign)
    return [recipient.row for recipient in claim.recipients]


async def test_what_a_dead_worker_had_claimed_is_queued_again_and_what_it_was_sending_is_in_doubt(
    ledgers: Ledgers,
) -> None:
    campaign = await running(ledgers, drafts([1, 2, 3]))
    await lose_jobs(ledgers)
    assert await crash(ledgers, campaign, marked=1) == [1, 2, 3]
    found = await records(ledgers, campaign)
    assert [record.state for record in found] == [State.IN_DOUBT, State.QUEUED, State.QUEUED]
    assert [record.text for record in found] == [
        "worker died while sending; not re-sent",
        *["worker died before sending; given back"] * 2,
    ]
    assert [record.attempts for record in found] == [1, 0, 0]
    assert [record.first_try is None for record in found] == [False, True, True]
    assert await jobs(ledgers) == ["0:1"]
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        assert [(one.row, one.crashes) for one in claim.recipients] == [(2, 1), (3, 1)]
        await worker.finish(claim, SENT)
    assert (await checked(ledgers, campaign)).state is CampaignState.FINISHED


async def test_what_a_living_worker_holds_is_left_alone(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2]), drafts([3]))
    async with hand(ledgers) as living, hand(ledgers) as dead:
        await living.beat()
        await living.claim(campaign, 0)
        await dead.claim(campaign, 1)
        assert await reconciler(ledgers).take_over() == 1
    assert await states(ledgers, campaign) == ["claimed", "claimed", "queued"]


async def test_a_worker_is_dead_when_it_was_silent_for_longer_than_the_lease(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    async with (
        open_ledgers(ledgers.url, prefix=ledgers.keys.prefix, lease_s=0.05) as impatient,
        hand(impatient) as worker,
    ):
        await worker.beat()
        await worker.claim(campaign)
        assert [one.owner for one in await impatient.fleet.alive()] == [worker.owner]
        await asyncio.sleep(0.06)
        assert await impatient.fleet.alive() == []
        assert [one.owner for one in await impatient.fleet.known()] == [worker.owner]
        assert await reconciler(impatient).take_over() == 1
        assert await impatient.fleet.known() == []


async def test_a_worker_that_beats_again_while_it_is_buried_lives(ledgers: Ledgers) -> None:
    async with hand(ledgers) as worker:
        await ledgers.redis.zadd(ledgers.keys.workers, {worker.owner: 1})
        (as_seen,) = await ledgers.fleet.known()
        await worker.beat()
        await ledgers.fleet.bury([as_seen])
        assert [one.owner for one in await ledgers.fleet.alive()] == [worker.owner]


async def test_the_third_crash_is_poison_and_only_for_the_guilty(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2, 3]))
    assert await crash(ledgers, campaign) == [1, 2, 3]
    assert await crash(ledgers, campaign) == [1, 2, 3]
    # From now on each is claimed alone. The second one is the one that kills.
    async with hand(ledgers) as worker:
        for _ in range(2):
            claim = await worker.claim(campaign)
            (recipient,) = claim.recipients
            assert recipient.crashes == 2
            if recipient.row == 2:
                break
            await worker.finish(claim, SENT)
    await reconciler(ledgers).take_over()
    await checked(ledgers, campaign)
    async with hand(ledgers) as worker:
        while (claim := await worker.claim(campaign)).recipients:
            assert len(claim.recipients) == 1
            await worker.finish(claim, SENT)
    first, second, third = await records(ledgers, campaign)
    assert (first.state, third.state) == (State.SENT, State.SENT)
    assert (second.state, second.reason, second.text) == (
        State.FAILED,
        "poison",
        "three workers died with this message",
    )
    assert (await checked(ledgers, campaign)).state is CampaignState.FINISHED


async def test_who_crashed_twice_waits_for_those_who_did_not(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2, 3]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        worker.delivery.record(claim, claim.recipients[0], deferred(claim.redis_ms))
        await worker.written(claim)
    await reconciler(ledgers).take_over()
    await ledgers.redis.unlink(ledgers.keys.base(campaign.id) + "h")
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        worker.delivery.record(claim, claim.recipients[0], RELEASED)
        await worker.written(claim)
    await reconciler(ledgers).take_over()
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        assert [(one.row, one.crashes) for one in claim.recipients] == [(1, 0)]
        await worker.finish(claim, SENT)
        assert len((await worker.claim(campaign)).recipients) == 1


async def test_a_chunk_stays_held_until_the_last_run_of_its_worker_has_ended(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2]))
    async with hand(ledgers) as worker:
        await worker.claim(campaign)
        # The same job a second time, or a retry that is due while the first run goes on.
        await worker.delivery.end_run(await worker.claim(campaign))
        await worker.delivery.postpone(campaign, 0, 1.0)
    assert await reconciler(ledgers).take_over() == 2
    assert await states(ledgers, campaign) == ["queued", "queued"]


async def test_a_chunk_that_was_packed_meanwhile_is_not_opened_again(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    base = ledgers.keys.base(campaign.id)
    async with hand(ledgers) as dead, hand(ledgers) as worker:
        claim = await dead.claim(campaign)
        await dead.record(claim, claim.recipients[0], SENT)
        await worker.delivery.end_run(await worker.claim(campaign))
    await ledgers.redis.zadd(base + "due", {"0": 1})
    await lose_jobs(ledgers)
    healer = reconciler(ledgers)
    await healer.take_over()
    await healer.revive()
    assert await ledgers.redis.exists(base + "open", base + "h") == 0
    assert await jobs(ledgers) == []
    await healer.revive()
    assert await ledgers.campaigns.live() == []


async def test_a_lost_job_is_made_again_and_a_job_that_is_there_is_not_doubled(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]), drafts([2]), drafts([3]))
    healer = reconciler(ledgers)
    assert await healer.revive() == 0
    assert await jobs(ledgers) == ["0:0", "1:0", "2:0"]
    lost = ledgers.keys.job(campaign.id, 1, 0)
    await ledgers.redis.zrem(ledgers.keys.queue, lost)
    await ledgers.redis.unlink(job_key_prefix + lost)
    assert await healer.revive() == 1
    assert await healer.revive() == 0
    assert await jobs(ledgers) == ["0:0", "1:1", "2:0"]


async def test_a_job_whose_worker_died_before_its_claim_is_made_again(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]), drafts([2]))
    locks = [in_progress_key_prefix + ledgers.keys.job(campaign.id, chunk, 0) for chunk in (0, 1)]
    # arq's lock names no owner and outlives its worker by a quarter of an hour.
    await ledgers.redis.eval("redis.call('PSETEX', KEYS[1], 900000, 1)", 1, locks[0])
    await ledgers.redis.eval("redis.call('PSETEX', KEYS[1], 1010000, 1)", 1, locks[1])
    healer = reconciler(ledgers)
    assert await healer.revive() == 1
    assert await healer.revive() == 0
    assert await jobs(ledgers) == ["0:0", "0:1", "1:0"]


async def test_a_chunk_in_somebodys_hands_gets_no_second_job(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        await lose_jobs(ledgers)
        assert await reconciler(ledgers).revive() == 0
        await worker.finish(claim, SENT)


async def test_what_is_queued_at_the_end_of_a_run_has_a_job_at_once(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        worker.delivery.record(claim, claim.recipients[0], SENT)
        worker.delivery.record(claim, claim.recipients[1], RELEASED)
        await worker.delivery.end_run(claim)
    assert await jobs(ledgers) == ["0:0", "0:1"]


async def test_a_chunk_that_rests_has_no_job_before_its_time(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    await lose_jobs(ledgers)
    healer = reconciler(ledgers)
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        worker.delivery.record(claim, claim.recipients[0], RELEASED)
        await worker.delivery.end_run(claim, rest_s=0.05)
        assert await healer.revive() == 0
        due = await healer.next_due_s()
        assert due is not None
        assert 0 < due <= 0.05
        await asyncio.sleep(0.06)
        assert await healer.revive() == 1
        assert await jobs(ledgers) == ["0:1"]
        assert await healer.next_due_s() is None
        await worker.delivery.postpone(campaign, 0, 60.0)
        due = await healer.next_due_s()
        assert due is not None
        assert 59 < due <= 60


async def test_retries_run_when_they_are_due_and_the_earliest_decides(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2, 3]))
    await lose_jobs(ledgers)
    healer = reconciler(ledgers)
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        for recipient, later_ms in zip(claim.recipients, (60_000, 30_000, 90_000), strict=True):
            worker.delivery.record(claim, recipient, deferred(claim.redis_ms + later_ms))
        await worker.delivery.end_run(claim)
        due = await healer.next_due_s()
        assert due is not None
        assert 29 < due <= 30
        assert await healer.revive() == 0
        await ledgers.redis.zadd(ledgers.keys.base(campaign.id) + "due", {"0": claim.redis_ms})
        assert await healer.revive() == 1
        assert await jobs(ledgers) == ["0:1"]
        assert (await worker.claim(campaign)).recipients == ()
        due = await healer.next_due_s()
        assert due is not None
        assert 29 < due <= 30


async def test_a_paused_campaign_keeps_nobody_awake(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    await lose_jobs(ledgers)
    healer = reconciler(ledgers)
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        worker.delivery.record(claim, claim.recipients[0], deferred(claim.redis_ms))
        await worker.delivery.end_run(claim)
        await worker.delivery.pause(campaign.id, "reason", PausedBy.OPERATOR)
    assert await healer.next_due_s() is None
    assert await healer.revive() == 0
    assert await ledgers.campaigns.live() == [campaign.id]
    await ledgers.campaigns.resume(campaign.id)
    assert await healer.revive() == 1


async def test_a_due_retry_counts_as_due_until_somebody_claims_it(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2]))
    await lose_jobs(ledgers)
    healer = reconciler(ledgers)
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        worker.delivery.record(claim, claim.recipients[0], deferred(claim.redis_ms))
        worker.delivery.record(claim, claim.recipients[1], deferred(claim.redis_ms + 300_000))
        await worker.delivery.end_run(claim)
        assert await healer.revive() == 1
        # Its job waits: nobody may think that all that is left is far away, and no second job is made.
        assert not await ledgers.campaigns.is_idle()
        assert ((await ledgers.campaigns.status(campaign.id)).next_due_ms or 0) <= claim.redis_ms
        assert await healer.revive() == 0
        again = await worker.claim(campaign)
        assert len(again.recipients) == 1
        assert ((await ledgers.campaigns.status(campaign.id)).next_due_ms or 0) > claim.redis_ms


async def test_a_campaign_paused_and_resumed_gets_its_jobs_back(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    await lose_jobs(ledgers)
    healer = reconciler(ledgers)
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        await worker.delivery.pause(campaign.id, "reason", PausedBy.OPERATOR)
        worker.delivery.record(claim, claim.recipients[0], RELEASED)
        await worker.delivery.end_run(claim)
        assert await healer.revive() == 0
        await ledgers.campaigns.resume(campaign.id)
        assert await healer.revive() == 1


async def test_a_finished_campaign_leaves_the_list_of_live_ones_when_it_is_packed(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]), drafts([2]))
    healer = reconciler(ledgers)
    async with hand(ledgers) as worker:
        await worker.finish(await worker.claim(campaign, 0), SENT)
        claim = await worker.claim(campaign, 1)
        await worker.record(claim, claim.recipients[0], REFUSED)
        assert (await checked(ledgers, campaign)).state is CampaignState.FINISHED
        await lose_jobs(ledgers)
        await healer.revive()
        assert await ledgers.campaigns.live() == [campaign.id]
        await worker.delivery.end_run(claim)
    await healer.revive()
    assert await ledgers.campaigns.live() == []


async def test_what_a_worker_left_unpacked_is_packed_by_a_job_without_a_claim(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    await lose_jobs(ledgers)
    async with hand(ledgers) as dead:
        claim = await dead.claim(campaign)
        await dead.record(claim, claim.recipients[0], SENT)
    healer = reconciler(ledgers)
    assert await healer.take_over() == 0
    assert await jobs(ledgers) == ["0:1"]
    async with hand(ledgers) as worker:
        await worker.delivery.end_run(await worker.claim(campaign))
    await healer.revive()
    assert await ledgers.campaigns.live() == []
    await checked(ledgers, campaign)


async def test_is_idle_tells_whether_anything_is_left_to_do(ledgers: Ledgers) -> None:
    assert await ledgers.campaigns.is_idle()
    campaign = await running(ledgers, drafts([1]))
    assert not await ledgers.campaigns.is_idle()
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        assert not await ledgers.campaigns.is_idle()
        await worker.record(claim, claim.recipients[0], deferred(claim.redis_ms + 60_000))
        assert await ledgers.campaigns.is_idle()


async def test_one_worker_leads_and_another_takes_over_when_it_is_silent(ledgers: Ledgers) -> None:
    await running(ledgers, drafts([1]))
    assert await ledgers.fleet.lead("one")
    assert not await ledgers.fleet.lead("two")
    assert await ledgers.fleet.lead("one")
    await ledgers.redis.unlink(ledgers.keys.leader)  # as its lease does
    assert await ledgers.fleet.lead("two")
    assert not await ledgers.fleet.lead("one")


async def test_of_many_who_want_to_lead_one_does(ledgers: Ledgers) -> None:
    await running(ledgers, drafts([1]))
    answers = await asyncio.gather(*(reconciler(ledgers).lead() for _ in range(10)))
    assert answers.count(True) == 1


@pytest.mark.parametrize("garbage", [b"", b"\x80\x04\x95pickle.", b"\xff" * 300])
async def test_a_chunk_that_cannot_be_read_stays_with_nobody(ledgers: Ledgers, garbage: bytes) -> None:
    campaign = await running(ledgers, drafts([1, 2]))
    key = ledgers.keys.base(campaign.id) + "m:0"
    whole = await ledgers.redis.get(key)
    assert whole is not None
    await ledgers.redis.set(key, garbage)
    async with hand(ledgers) as worker:
        await worker.beat()
        with pytest.raises(Exception, match=r".+"):
            await worker.claim(campaign)
        assert (await checked(ledgers, campaign)).totals.queued == 2
        await ledgers.redis.set(key, whole)
        await worker.finish(await worker.claim(campaign), SENT)
    assert (await checked(ledgers, campaign)).totals.sent == 2


async def test_without_the_reference_message_nobody_is_failed_at_once(ledgers: Ledgers) -> None:
    """All messages lean on it: whoever puts it back finds everybody waiting."""
    campaign = await running(ledgers, drafts([1, 2]))
    key = ledgers.keys.base(campaign.id) + "ref"
    reference = await ledgers.redis.get(key)
    assert reference is not None
    await ledgers.redis.unlink(key)
    async with hand(ledgers) as worker:
        with pytest.raises(ValueError, match="reference message"):
            await worker.claim(campaign)
        assert await states(ledgers, campaign) == ["queued", "queued"]
        await ledgers.redis.set(key, reference)
        await worker.finish(await worker.claim(campaign), SENT)
    assert (await checked(ledgers, campaign)).totals.sent == 2


async def test_nobody_leads_where_there_is_no_ledger(ledgers: Ledgers) -> None:
    assert not await ledgers.fleet.lead("one")
    assert await all_keys(ledgers) == []


async def test_a_leader_that_leaves_hands_the_lead_on_at_once(ledgers: Ledgers) -> None:
    await running(ledgers, drafts([1]))
    assert await ledgers.fleet.lead("one")
    assert not await ledgers.fleet.lead("two")
    await ledgers.fleet.leave("two")
    assert not await ledgers.fleet.lead("two")
    await ledgers.fleet.leave("one")
    assert await ledgers.fleet.lead("two")
    assert not await ledgers.fleet.lead("one")
