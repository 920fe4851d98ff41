"""More recipients: the rest of a list, or another list; counted once, by whomever and however often it is said."""

import asyncio

import pytest

from mailer.backends.redis.ledgers import Ledgers
from mailer.interfaces.ledger import CampaignGoneError
from mailer.vocabulary.campaign import Campaign, CampaignState, CampaignStatus
from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.recipient import LeftOut, LeftOutAs
from tests.ledger.campaigns import drafts, proposal, records, running, work_off
from tests.ledger.hands import reconciler
from tests.operator.recount import is_live, sound


def left(*rows: int) -> list[LeftOut]:
    return [LeftOut(row=row, email=f"r{row}", kind=LeftOutAs.INVALID, reason="no @") for row in rows]


async def left_out(ledgers: Ledgers, campaign: Campaign) -> list[int]:
    return [row.row async for row in ledgers.reading.left_out(campaign)]


async def limited(ledgers: Ledgers) -> Campaign:
    """A finished campaign of the first ten rows; row 2 was invalid."""
    campaign = await ledgers.intake.open(proposal())
    await ledgers.intake.accept(campaign, drafts([1, *range(3, 11)]))
    await ledgers.intake.leave_out(campaign, "one", left(2))
    await ledgers.intake.seal(campaign, "one", invalid=1, duplicate=0, complete=True, chosen=((1, 10),))
    await work_off(ledgers, campaign)
    await reconciler(ledgers).revive()
    return campaign


async def ended(ledgers: Ledgers, campaign: Campaign) -> CampaignStatus:
    await work_off(ledgers, campaign)
    return await sound(ledgers, campaign)


async def test_rows_that_were_asked_for_are_told(ledgers: Ledgers) -> None:
    campaign = await limited(ledgers)
    status = await sound(ledgers, campaign)
    assert (status.state, status.chosen, status.totals.rows) == (CampaignState.FINISHED, ((1, 10),), 10)
    assert (await sound(ledgers, await running(ledgers, drafts([1])))).chosen is None


async def test_a_finished_campaign_takes_nothing_until_it_is_reopened(ledgers: Ledgers) -> None:
    campaign = await limited(ledgers)
    with pytest.raises(CampaignGoneError, match="brought to its end"):
        await ledgers.intake.accept(campaign, drafts([11]))
    assert not await is_live(ledgers, campaign)
    await ledgers.intake.reopen(campaign)
    assert await is_live(ledgers, campaign)
    status = await sound(ledgers, campaign)
    assert (status.state, status.source_complete, status.finished_ms) == (CampaignState.RUNNING, False, None)
    assert not await ledgers.intake.accept(campaign, drafts([11]))


async def test_the_rest_of_a_list_makes_its_counts_and_rows_those_of_the_new_run(ledgers: Ledgers) -> None:
    campaign = await limited(ledgers)
    await ledgers.intake.reopen(campaign)
    await ledgers.intake.leave_out(campaign, "two", left(2, 12))
    await ledgers.intake.accept(campaign, drafts([11]))
    await work_off(ledgers, campaign)
    assert (await sound(ledgers, campaign)).state is CampaignState.RUNNING
    for _ in range(2):
        await ledgers.intake.complete(campaign, "two", invalid=2, duplicate=0, chosen=((1, 12),))
        status = await sound(ledgers, campaign)
        assert (status.state, status.totals.invalid, status.totals.rows) == (CampaignState.FINISHED, 2, 12)
        assert (status.chosen, status.source_complete) == (((1, 12),), True)
        assert await left_out(ledgers, campaign) == [2, 12]


async def test_rows_left_out_after_the_seal_of_the_same_run_come_to_those_before(ledgers: Ledgers) -> None:
    campaign = await ledgers.intake.open(proposal())
    await ledgers.intake.leave_out(campaign, "one", left(1))
    await ledgers.intake.seal(campaign, "one", invalid=1, duplicate=0, complete=False)
    await ledgers.intake.leave_out(campaign, "one", left(2))
    await ledgers.intake.complete(campaign, "one", invalid=2, duplicate=0)
    assert await left_out(ledgers, campaign) == [1, 2]


async def test_a_new_run_without_left_out_rows_leaves_none_of_the_old_one(ledgers: Ledgers) -> None:
    campaign = await limited(ledgers)
    await ledgers.intake.reopen(campaign)
    await ledgers.intake.complete(campaign, "two", invalid=0, duplicate=0)
    assert (await sound(ledgers, campaign)).totals.invalid == 0
    assert await left_out(ledgers, campaign) == []


@pytest.mark.parametrize("wider_first", [True, False])
async def test_of_two_producers_with_other_parts_of_a_list_the_wider_one_counts(
    ledgers: Ledgers, *, wider_first: bool
) -> None:
    campaign = await limited(ledgers)
    await ledgers.intake.reopen(campaign)
    await ledgers.intake.accept(campaign, drafts([11, 12]))
    runs = [("all", 3, None), ("some", 2, ((1, 12),))]
    for run, invalid, chosen in runs if wider_first else reversed(runs):
        await ledgers.intake.leave_out(campaign, run, left(*range(100, 100 + invalid)))
        await ledgers.intake.complete(campaign, run, invalid=invalid, duplicate=0, chosen=chosen)
    status = await sound(ledgers, campaign)
    assert (status.chosen, status.totals.invalid) == (None, 3)
    assert await left_out(ledgers, campaign) == [100, 101, 102]


async def test_another_list_needs_the_word_and_then_it_is_the_same_campaign(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]), key="k")
    with pytest.raises(UsageError) as caught:
        await ledgers.intake.open(proposal(key="k", fingerprint="other"))
    assert caught.value.code == "E205"
    assert await ledgers.intake.open(proposal(key="k", fingerprint="other"), append=True) == campaign
    assert (await ledgers.intake.open(proposal(key="new"), append=True)).id != campaign.id


async def test_an_appended_list_is_added_and_counts_once_however_often_it_is_said(ledgers: Ledgers) -> None:
    campaign = await limited(ledgers)
    await ledgers.intake.reopen(campaign, appending="other")
    status = await sound(ledgers, campaign)
    assert (status.appending, status.appended, status.source_complete) == ("other", frozenset(), True)
    await ledgers.intake.accept(campaign, drafts([21]))
    await ledgers.intake.leave_out(campaign, "two", left(22))
    status = await ended(ledgers, campaign)
    assert status.state is CampaignState.RUNNING
    for run in ("two", "two", "of another producer"):
        await ledgers.intake.complete(campaign, run, invalid=1, duplicate=2, appended="other")
        status = await sound(ledgers, campaign)
        assert (status.state, status.appending, status.appended) == (CampaignState.FINISHED, None, frozenset({"other"}))
        assert (status.totals.invalid, status.totals.duplicate, status.totals.rows) == (2, 2, 14)
        assert (status.chosen, await left_out(ledgers, campaign)) == (((1, 10),), [2, 22])


async def test_a_second_producer_of_an_appended_list_leaves_no_row_twice(ledgers: Ledgers) -> None:
    campaign = await limited(ledgers)
    for run in ("two", "three"):
        await ledgers.intake.reopen(campaign, appending="other")
        await ledgers.intake.leave_out(campaign, run, left(22))
    await asyncio.gather(
        *(ledgers.intake.complete(campaign, run, invalid=1, duplicate=0, appended="other") for run in ("two", "three"))
    )
    assert (await sound(ledgers, campaign)).totals.invalid == 2
    assert await left_out(ledgers, campaign) == [2, 22]


async def test_a_list_that_was_appended_to_its_end_does_not_open_the_campaign_again(ledgers: Ledgers) -> None:
    """A producer that was as far as the other one, and is killed after this, leaves nothing open."""
    campaign = await limited(ledgers)
    await ledgers.intake.reopen(campaign, appending="other")
    await ledgers.intake.accept(campaign, drafts([21]))
    await ledgers.intake.complete(campaign, "two", invalid=0, duplicate=0, appended="other")
    await work_off(ledgers, campaign)
    await ledgers.intake.reopen(campaign, appending="other")
    status = await sound(ledgers, campaign)
    assert (status.state, status.appending) == (CampaignState.FINISHED, None)
    assert await ledgers.intake.accept(campaign, drafts([21])) == {0}


async def test_two_lists_that_are_appended_at_once_both_hold_it_open(ledgers: Ledgers) -> None:
    campaign = await limited(ledgers)
    await ledgers.intake.reopen(campaign, appending="other")
    await ledgers.intake.reopen(campaign, appending="third")
    await ledgers.intake.reopen(campaign, appending="other")
    await ledgers.intake.complete(campaign, "two", invalid=1, duplicate=0, appended="third")
    status = await sound(ledgers, campaign)
    assert (status.state, status.appending, status.appended) == (CampaignState.RUNNING, "other", frozenset({"third"}))
    await ledgers.intake.complete(campaign, "three", invalid=1, duplicate=0, appended="other")
    status = await sound(ledgers, campaign)
    assert (status.state, status.appended) == (CampaignState.FINISHED, frozenset({"other", "third"}))
    assert status.totals.invalid == 3


async def test_the_rest_of_the_own_list_keeps_what_was_appended_before_it(ledgers: Ledgers) -> None:
    campaign = await limited(ledgers)
    await ledgers.intake.reopen(campaign, appending="other")
    await ledgers.intake.leave_out(campaign, "two", left(22))
    await ledgers.intake.complete(campaign, "two", invalid=1, duplicate=5, appended="other")
    await ledgers.intake.reopen(campaign)
    await ledgers.intake.leave_out(campaign, "three", left(2, 12))
    await ledgers.intake.complete(campaign, "three", invalid=2, duplicate=1)
    status = await sound(ledgers, campaign)
    assert (status.totals.invalid, status.totals.duplicate) == (3, 6)
    assert await left_out(ledgers, campaign) == [2, 12, 22]


async def test_a_running_campaign_that_is_appended_to_is_not_finished_before_the_end_of_the_list(
    ledgers: Ledgers,
) -> None:
    campaign = await running(ledgers, drafts([1]))
    await ledgers.intake.reopen(campaign, appending="other")
    assert (await ended(ledgers, campaign)).state is CampaignState.RUNNING
    await reconciler(ledgers).revive()
    assert await is_live(ledgers, campaign)
    await ledgers.intake.complete(campaign, "two", invalid=0, duplicate=0, appended="other")
    assert (await sound(ledgers, campaign)).state is CampaignState.FINISHED


async def test_a_paused_campaign_stays_paused_while_more_comes(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    await ledgers.control.pause(campaign.id, "wait")
    await ledgers.intake.reopen(campaign, appending="other")
    await ledgers.intake.accept(campaign, drafts([2]))
    await ledgers.intake.complete(campaign, "two", invalid=0, duplicate=0, appended="other")
    assert (await sound(ledgers, campaign)).state is CampaignState.PAUSED
    await ledgers.control.resume(campaign.id)
    assert (await ended(ledgers, campaign)).state is CampaignState.FINISHED
    assert [record.row for record in await records(ledgers, campaign)] == [1, 2]


async def test_a_cancelled_campaign_is_not_reopened(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    await ledgers.control.cancel(campaign.id, "stop")
    for appending in (None, "other"):
        with pytest.raises(UsageError, match="is cancelled") as caught:
            await ledgers.intake.reopen(campaign, appending=appending)
        assert caught.value.code == "E114"
    status = await sound(ledgers, campaign)
    assert (status.source_complete, status.appending) == (True, None)


async def test_a_campaign_that_another_producer_dropped_is_gone_at_every_step(ledgers: Ledgers) -> None:
    campaign = await ledgers.intake.open(proposal())
    await ledgers.intake.drop(campaign)
    for step in (
        ledgers.intake.accept(campaign, drafts([1])),
        ledgers.intake.seal(campaign, "run", invalid=0, duplicate=0, complete=True),
        ledgers.intake.reopen(campaign),
        ledgers.intake.complete(campaign, "run", invalid=0, duplicate=0),
    ):
        with pytest.raises(CampaignGoneError, match="dropped by another producer") as caught:
            await step
        assert caught.value.retryable
    assert campaign.id not in await ledgers.campaigns.ids()
    with pytest.raises(UsageError):
        await ledgers.reading.status(campaign.id)
