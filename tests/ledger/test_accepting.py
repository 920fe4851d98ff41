"""Accepting: a chunk is stored whole or not at all, and nobody is stored twice."""

import asyncio
import secrets

import pytest

from mailer.backends.redis.ledgers import Ledgers
from mailer.interfaces.ledger import CampaignGoneError
from mailer.vocabulary.campaign import CampaignState
from mailer.vocabulary.chunk import Draft
from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.outcome import Class, Outcome
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.recipient import LeftOut, LeftOutAs, State
from tests.ledger.campaigns import all_keys, checked, drafts, keys_of, proposal, records, running
from tests.ledger.hands import hand

SUPPRESSED = Outcome(
    state=State.SUPPRESSED, failure=Class.LOCAL, reason="suppressed", text="on the list", counted=False
)
UNBUILT = Outcome(
    state=State.FAILED, phase=Phase.BUILD, failure=Class.LOCAL, reason="build", text="row 2", counted=False
)


async def test_accepted_recipients_are_all_there_in_the_order_of_their_rows(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts(range(1, 8)), drafts(range(8, 12)))
    assert [(record.row, record.email) for record in await records(ledgers, campaign)] == [
        (draft.row, draft.email) for draft in drafts(range(1, 12))
    ]
    assert (await checked(ledgers, campaign)).totals.queued == 11


async def test_a_chunk_with_a_known_address_is_stored_not_at_all(ledgers: Ledgers) -> None:
    campaign = await ledgers.intake.open(proposal())
    await ledgers.intake.accept(campaign, drafts([1, 2, 3]))
    before = await all_keys(ledgers)
    present = await ledgers.intake.accept(campaign, drafts([2, 3, 4, 5]))
    assert present == {0, 1}
    assert await all_keys(ledgers) == before
    assert (await checked(ledgers, campaign)).totals.accepted == 3
    assert not await ledgers.intake.accept(campaign, drafts([4, 5]))
    assert (await checked(ledgers, campaign)).totals.accepted == 5


async def test_a_call_that_is_repeated_after_a_lost_reply_does_no_harm(ledgers: Ledgers) -> None:
    campaign = await ledgers.intake.open(proposal())
    chunk = drafts(range(1, 30))
    assert await ledgers.intake.accept(campaign, chunk) == frozenset()
    assert await ledgers.intake.accept(campaign, chunk) == set(range(29))
    assert (await checked(ledgers, campaign)).totals.accepted == 29


async def test_one_mailbox_spelt_in_two_ways_is_one_recipient(ledgers: Ledgers) -> None:
    campaign = await ledgers.intake.open(proposal())
    await ledgers.intake.accept(campaign, [Draft(row=1, email='"ann"@x.test', content=b"1")])
    assert await ledgers.intake.accept(campaign, [Draft(row=2, email="ann@x.test", content=b"2")]) == {0}


async def test_who_is_not_to_be_sent_to_is_final_from_the_beginning(ledgers: Ledgers) -> None:
    chunk = [
        Draft(row=1, email="a@x.test", content=b"", outcome=SUPPRESSED),
        Draft(row=2, email="b@x.test", content=b"", outcome=UNBUILT),
    ]
    campaign = await running(ledgers, chunk)
    status = await checked(ledgers, campaign)
    assert status.state is CampaignState.FINISHED
    assert (status.totals.suppressed, status.totals.failed) == (1, 1)
    first, second = await records(ledgers, campaign)
    assert (first.reason, first.text, first.attempts) == ("suppressed", "on the list", 0)
    assert (second.reason, second.text, second.phase) == ("build", "row 2", Phase.BUILD)


async def test_duplicates_are_found_over_all_generations_of_the_index(ledgers: Ledgers) -> None:
    campaign = await ledgers.intake.open(proposal())
    for start in range(0, 12_000, 3_000):
        assert not await ledgers.intake.accept(campaign, drafts(range(start, start + 3_000), content=b"m"))
    keys = await keys_of(ledgers, campaign)
    base = ledgers.keys.base(campaign.id)
    assert any(key.startswith(base + "x:0:") for key in keys)
    assert any(key.startswith(base + "x:1:") for key in keys)
    again = drafts([0, 9_998, 9_999, 10_000, 10_001, 11_999, 12_000])
    assert await ledgers.intake.accept(campaign, again) == set(range(6))
    assert not await ledgers.intake.accept(campaign, again[-1:])
    await ledgers.intake.drop(campaign)
    assert await keys_of(ledgers, campaign) == []


async def test_two_producers_at_once_make_one_set_of_recipients(ledgers: Ledgers) -> None:
    campaign = await ledgers.intake.open(proposal())

    async def produce() -> None:
        for start in range(1, 100, 10):
            wanted = drafts(range(start, start + 10))
            while wanted and (present := await ledgers.intake.accept(campaign, wanted)):
                wanted = [draft for place, draft in enumerate(wanted) if place not in present]

    await asyncio.gather(*(produce() for _ in range(4)))
    assert [record.row for record in await records(ledgers, campaign)] == list(range(1, 101))
    await checked(ledgers, campaign)


async def test_a_campaign_that_is_gone_accepts_nothing(ledgers: Ledgers) -> None:
    campaign = await ledgers.intake.open(proposal())
    await ledgers.intake.drop(campaign)
    with pytest.raises(CampaignGoneError, match="dropped"):
        await ledgers.intake.accept(campaign, drafts([1]))
    assert [key for key in await keys_of(ledgers, campaign) if not key.endswith(":ref")] == []


async def test_the_same_key_with_the_same_content_is_the_same_campaign(ledgers: Ledgers) -> None:
    first = await ledgers.intake.open(proposal(key="k"))
    second = await ledgers.intake.open(proposal(key="k"))
    assert second == first
    assert await ledgers.campaigns.ids() == [first.id]


async def test_the_same_key_with_other_content_is_an_error_and_changes_nothing(ledgers: Ledgers) -> None:
    first = await running(ledgers, drafts([1]), key="k")
    before = await all_keys(ledgers)
    with pytest.raises(UsageError) as raised:
        await ledgers.intake.open(proposal(key="k", fingerprint="other"))
    assert raised.value.code == "E205"
    assert first.id in raised.value.message
    assert await all_keys(ledgers) == before


async def test_eight_that_open_one_key_at_once_make_one_campaign(ledgers: Ledgers) -> None:
    opened = await asyncio.gather(*(ledgers.intake.open(proposal(key="k")) for _ in range(8)))
    assert len({campaign.id for campaign in opened}) == 1
    assert await ledgers.campaigns.ids() == [opened[0].id]
    assert len([key for key in await all_keys(ledgers) if key.endswith(":c")]) == 1


async def test_a_producer_that_died_between_the_two_steps_of_opening_is_gone_on_from(ledgers: Ledgers) -> None:
    await ledgers.redis.hsetnx(ledgers.keys.by_key, "k", "news-dead")
    assert (await ledgers.intake.open(proposal(key="k"))).id == "news-dead"


async def test_two_keys_that_drew_one_id_become_two_campaigns(ledgers: Ledgers) -> None:
    first = await ledgers.intake.open(proposal(key="a"))
    await ledgers.redis.hsetnx(ledgers.keys.by_key, "b", first.id)
    second = await ledgers.intake.open(proposal(key="b"))
    assert second.id != first.id
    assert await ledgers.intake.open(proposal(key="a")) == first


async def test_nothing_of_a_draft_can_be_claimed(ledgers: Ledgers) -> None:
    campaign = await ledgers.intake.open(proposal())
    await ledgers.intake.accept(campaign, drafts([1, 2]))
    async with hand(ledgers) as worker:
        assert (await worker.claim(campaign)).recipients == ()
    assert await ledgers.jobs.waiting() == 0
    assert (await checked(ledgers, campaign)).state is CampaignState.DRAFT


async def test_sealing_hands_in_a_job_for_every_chunk_and_happens_once(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2]), drafts([3]), drafts([4]))
    assert await ledgers.jobs.waiting() == 3
    assert not await ledgers.intake.seal(campaign, "other", invalid=7, duplicate=7, complete=False)
    assert await ledgers.jobs.waiting() == 3
    status = await checked(ledgers, campaign)
    assert (status.state, status.source_complete, status.totals.rows) == (CampaignState.RUNNING, True, 4)
    assert await ledgers.campaigns.live() == [campaign.id]


async def test_what_a_running_campaign_accepts_has_its_job_at_once(ledgers: Ledgers) -> None:
    campaign = await ledgers.intake.open(proposal())
    await ledgers.intake.accept(campaign, drafts([1]))
    await ledgers.intake.seal(campaign, "run", invalid=0, duplicate=0, complete=False)
    await ledgers.intake.accept(campaign, drafts([2]))
    assert await ledgers.jobs.waiting() == 2
    assert not (await checked(ledgers, campaign)).source_complete
    await ledgers.intake.complete(campaign, "run", invalid=3, duplicate=4)
    status = await checked(ledgers, campaign)
    assert (status.source_complete, status.totals.invalid, status.totals.duplicate) == (True, 3, 4)


async def test_a_campaign_is_not_finished_before_its_source_was_read_to_the_end(ledgers: Ledgers) -> None:
    campaign = await ledgers.intake.open(proposal())
    await ledgers.intake.accept(campaign, [Draft(row=1, email="a@x.test", content=b"", outcome=SUPPRESSED)])
    await ledgers.intake.seal(campaign, "run", invalid=0, duplicate=0, complete=False)
    assert (await checked(ledgers, campaign)).state is CampaignState.RUNNING
    await ledgers.intake.complete(campaign, "run", invalid=0, duplicate=0)
    assert (await checked(ledgers, campaign)).state is CampaignState.FINISHED


async def test_dropping_a_draft_leaves_no_key_of_it(ledgers: Ledgers) -> None:
    before = await all_keys(ledgers)
    campaign = await ledgers.intake.open(proposal())
    for start in range(0, 300, 100):
        await ledgers.intake.accept(campaign, drafts(range(start, start + 100)))
    await ledgers.intake.accept(campaign, [Draft(row=900, email="a@y.test", content=b"", outcome=SUPPRESSED)])
    await ledgers.intake.drop(campaign)
    assert await all_keys(ledgers) == before
    assert await ledgers.campaigns.by_key(campaign.key) is None


async def test_dropping_a_draft_forgets_the_rows_it_left_out_too(ledgers: Ledgers) -> None:
    campaign = await ledgers.intake.open(proposal())
    row = LeftOut(row=1, email="x", kind=LeftOutAs.INVALID, reason="no @")
    await ledgers.intake.leave_out(campaign, "one", [row])
    await ledgers.intake.leave_out(campaign, "two", [row])
    await ledgers.intake.drop(campaign)
    assert await keys_of(ledgers, campaign) == []


async def test_a_draft_whose_producer_died_while_it_was_sealed_is_dropped_from_the_live_ones(ledgers: Ledgers) -> None:
    """Whoever looks at those meanwhile is not kept from anything."""
    campaign = await ledgers.intake.open(proposal())
    await ledgers.redis.sadd(ledgers.keys.live, campaign.id, "long-gone")
    assert await ledgers.campaigns.is_idle()
    await ledgers.intake.drop(campaign)
    assert await ledgers.campaigns.live() == ["long-gone"]


async def test_a_sealed_campaign_is_not_dropped(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2]))
    before = await all_keys(ledgers)
    await ledgers.intake.drop(campaign)
    assert await all_keys(ledgers) == before


async def test_a_campaign_is_sealed_or_dropped_and_never_half_of_each(ledgers: Ledgers) -> None:
    for _ in range(30):
        campaign = await ledgers.intake.open(proposal())
        await ledgers.intake.accept(campaign, drafts([1, 2]))
        sealed, _ = await asyncio.gather(
            ledgers.intake.seal(campaign, "run", invalid=0, duplicate=0, complete=True),
            ledgers.intake.drop(campaign),
            return_exceptions=True,
        )
        if sealed is True:
            assert (await checked(ledgers, campaign)).totals.queued == 2
            found = await ledgers.campaigns.by_key(campaign.key)
            assert found is not None
            assert found.campaign == campaign
        else:
            assert isinstance(sealed, CampaignGoneError)
            assert [key for key in await keys_of(ledgers, campaign) if key.startswith(ledgers.keys.prefix)] == []


async def test_a_draft_that_is_dropped_while_it_is_looked_for_is_there_or_not(ledgers: Ledgers) -> None:
    for round_ in range(30):
        draft = await ledgers.intake.open(proposal(key=f"k{round_}"))
        found, _ = await asyncio.gather(ledgers.campaigns.by_key(draft.key), ledgers.intake.drop(draft))
        assert found is None or found.campaign == draft
        assert await ledgers.campaigns.by_key(draft.key) is None


@pytest.mark.thorough
async def test_what_is_opened_while_it_is_dropped_is_whole_or_gone(ledgers: Ledgers) -> None:
    for round_ in range(30):
        first = await ledgers.intake.open(proposal(key=f"k{round_}"))
        await ledgers.intake.accept(first, drafts([1, 2, 3]))
        again, *_ = await asyncio.gather(
            ledgers.intake.open(proposal(key=f"k{round_}")), ledgers.intake.drop(first), ledgers.intake.drop(first)
        )
        (present,) = await asyncio.gather(ledgers.intake.accept(again, drafts([1, 2, 3])), return_exceptions=True)
        if isinstance(present, BaseException):
            assert isinstance(present, CampaignGoneError)
        else:
            assert not present
            assert again.id != first.id
            found = await ledgers.campaigns.by_key(again.key)
            assert found is not None
            assert found.campaign == again
            assert again.id in await ledgers.campaigns.ids()
            assert [record.row for record in await records(ledgers, again)] == [1, 2, 3]


@pytest.mark.thorough
async def test_who_was_killed_while_he_dropped_a_draft_leaves_nothing_that_counts_as_accepted(ledgers: Ledgers) -> None:
    async def dropped_for(turns: int) -> None:
        dropping = asyncio.create_task(ledgers.intake.drop(await ledgers.intake.open(proposal(key="k"))))
        for _ in range(turns):
            await asyncio.sleep(0)
        dropping.cancel()
        await asyncio.gather(dropping, return_exceptions=True)

    for turns in range(60):
        first = await ledgers.intake.open(proposal(key="k"))
        await ledgers.intake.accept(first, drafts([1, 2, 3]))
        await dropped_for(turns)
        again = await ledgers.intake.open(proposal(key="k"))
        assert len(await ledgers.intake.accept(again, drafts([1, 2, 3]))) == (3 if again.id == first.id else 0)
        assert [record.row for record in await records(ledgers, again)] == [1, 2, 3]
        assert await ledgers.campaigns.ids() == [again.id]
        await ledgers.intake.drop(again)
    # Its record is the last to go, and may be what is left.
    assert [key for key in await all_keys(ledgers) if not key.endswith((":ref", ":c"))] == []


async def test_rows_left_out_are_read_in_the_order_of_the_source(ledgers: Ledgers) -> None:
    campaign = await ledgers.intake.open(proposal())
    rows = [
        LeftOut(
            row=row, email=f"r{row}", kind=LeftOutAs.DUPLICATE if row % 2 else LeftOutAs.INVALID, reason="wörds\n\0"
        )
        for row in range(1, 40)
    ]
    await ledgers.intake.leave_out(campaign, "run", rows[:20])
    await ledgers.intake.leave_out(campaign, "run", [])
    await ledgers.intake.leave_out(campaign, "run", rows[20:])
    await ledgers.intake.leave_out(campaign, "a run that came to nothing", rows[:5])
    assert [row async for row in ledgers.reading.left_out(campaign)] == []
    await ledgers.intake.seal(campaign, "run", invalid=19, duplicate=20, complete=True)
    assert [row async for row in ledgers.reading.left_out(campaign)] == rows
    status = await checked(ledgers, campaign)
    assert (status.totals.rows, status.totals.invalid, status.totals.duplicate) == (39, 19, 20)


async def test_queued_bytes_are_those_of_messages_that_are_still_needed(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts(range(40), content=secrets.token_bytes(3_000)), drafts(range(40, 80)))
    before = await ledgers.intake.queued_bytes(campaign)
    assert before > 40 * 8
    async with hand(ledgers) as worker:
        for chunk in (0, 1):
            claim = await worker.claim(campaign, chunk)
            await worker.finish(claim, Outcome(state=State.SENT))
            assert await ledgers.intake.queued_bytes(campaign) < before
    assert await ledgers.intake.queued_bytes(campaign) == 0


async def test_a_status_of_nothing_says_so(ledgers: Ledgers) -> None:
    with pytest.raises(UsageError, match="no campaign 'nothing'"):
        await ledgers.reading.status("nothing")


async def test_the_suppression_list_knows_a_mailbox_however_it_is_spelt(ledgers: Ledgers) -> None:
    assert await ledgers.suppression.add("Ann@X.test", "asked for it")
    assert not await ledgers.suppression.add("Ann@x.test", "again")
    assert await ledgers.intake.suppressed(["Ann@x.test", '"Ann"@x.test', "ann@x.test"]) == {
        "Ann@x.test",
        '"Ann"@x.test',
    }
    assert await ledgers.intake.suppressed([]) == frozenset()
