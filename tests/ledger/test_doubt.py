"""What becomes of a recipient whose worker died over the body: in doubt, or sent again if the campaign wants that."""

import pytest

from mailer.backends.redis.chunk_parts import read_parts
from mailer.backends.redis.events import Event
from mailer.backends.redis.ledgers import Ledgers
from mailer.policy.dot_stuffing import unstuff
from mailer.policy.doubt import RESENT, RESENT_TEXT
from mailer.policy.selection import select
from mailer.vocabulary.acts import Resolution
from mailer.vocabulary.campaign import Campaign, CampaignState
from mailer.vocabulary.settings import DeliverySettings
from tests.ledger.campaigns import IN_DOUBT, REFUSED, SENT, checked, drafts, message, records, running, states, work_off
from tests.ledger.hands import hand, reconciler
from tests.operator.recount import sound

RESEND = DeliverySettings(on_doubt="resend")


async def died_sending(ledgers: Ledgers, campaign: Campaign) -> str:
    """A worker marks everybody it can get and dies over the bodies. Returns its token."""
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        for recipient in claim.recipients:
            assert await worker.mark(claim, recipient)
    await reconciler(ledgers).take_over()
    await checked(ledgers, campaign)
    return claim.token


async def history(ledgers: Ledgers, campaign: Campaign, index: int = 0) -> list[Event]:
    """Everything that is on record of one recipient of the first chunk."""
    (parts,) = await read_parts(ledgers.redis, ledgers.keys.base(campaign.id), [0])
    (entry,) = [entry for entry in (*parts.packed, *parts.unpacked) if entry.index == index]
    return entry.events


def steps(events: list[Event]) -> list[tuple[str, str | None]]:
    return [(event.letter, event.reason) for event in events]


async def test_by_default_the_doubt_stays(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    await died_sending(ledgers, campaign)
    assert await states(ledgers, campaign) == ["in_doubt"]
    assert steps(await history(ledgers, campaign)) == [("I", "worker_died")]
    assert (await records(ledgers, campaign))[0].text == "worker died while sending; not re-sent"


async def test_under_resend_it_is_queued_again_with_the_doubt_and_the_decision_on_record(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2]), delivery=RESEND)
    before = (await records(ledgers, campaign))[0].message_id
    token = await died_sending(ledgers, campaign)
    assert await states(ledgers, campaign) == ["queued", "queued"]
    events = await history(ledgers, campaign)
    assert steps(events) == [("I", "worker_died"), ("q", "resent")]
    assert [event.text for event in events] == [
        "worker died while sending",
        "on_doubt is resend: sent again, may arrive twice",
    ]
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        assert claim.token != token
        again = [(unstuff(worker.delivery.mail_data(claim, one)), one.crashes) for one in claim.recipients]
        assert again == [(message(1), 1), (message(2), 1)]
        await worker.finish(claim, SENT)
    (first, _) = await records(ledgers, campaign)
    assert (first.state, first.message_id) == ("sent", before)
    # Also when it is packed.
    assert steps(await history(ledgers, campaign))[:2] == [("I", "worker_died"), ("q", "resent")]
    assert (await sound(ledgers, campaign)).state is CampaignState.FINISHED


async def test_a_job_for_it_is_made_at_once(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]), delivery=RESEND)
    await ledgers.redis.unlink(ledgers.keys.queue)
    await died_sending(ledgers, campaign)
    assert [job.decode() for job in await ledgers.redis.zrange(ledgers.keys.queue, 0, -1)] == [
        ledgers.keys.job(campaign.id, 0, 1)
    ]


async def test_the_dead_owner_has_lost_it(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]), delivery=RESEND)
    async with hand(ledgers) as late:
        claim = await late.claim(campaign)
        assert await late.mark(claim, claim.recipients[0])
        await reconciler(ledgers).take_over()
        assert not await late.mark(claim, claim.recipients[0])
        await late.record(claim, claim.recipients[0], REFUSED)
        assert await states(ledgers, campaign) == ["queued"]


async def test_the_third_worker_that_dies_over_a_body_leaves_it_in_doubt(ledgers: Ledgers) -> None:
    """It may have arrived, so it is not `failed`; and it is never sent a fourth time by itself."""
    campaign = await running(ledgers, drafts([1]), delivery=RESEND)
    for _ in range(3):
        await died_sending(ledgers, campaign)
    assert await states(ledgers, campaign) == ["in_doubt"]
    events = await history(ledgers, campaign)
    assert [event.letter for event in events] == ["I", "q", "I", "q", "I"]
    assert events[-1].text == "worker died while sending; not re-sent"
    assert (await sound(ledgers, campaign)).state is CampaignState.FINISHED


async def test_the_third_crash_before_the_body_is_poison_all_the_same(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]), delivery=RESEND)
    await died_sending(ledgers, campaign)
    for _ in range(2):
        async with hand(ledgers) as worker:
            await worker.claim(campaign)
        await reconciler(ledgers).take_over()
    (record,) = await records(ledgers, campaign)
    assert (record.state, record.reason) == ("failed", "poison")


async def test_who_was_given_back_without_a_crash_is_sent_again_twice_at_most(ledgers: Ledgers) -> None:
    """Owners that lost their claim in a rollback of the queue server crashed nobody; there is an end to it, too."""
    campaign = await running(ledgers, drafts([1]), delivery=RESEND)
    for _ in range(3):
        async with hand(ledgers) as worker:
            claim = await worker.claim(campaign)
            assert await worker.mark(claim, claim.recipients[0])
            await worker.delivery._give_back(campaign.id, 0, claim.token, crashed=False)
    assert await states(ledgers, campaign) == ["in_doubt"]
    assert [letter for letter, _ in steps(await history(ledgers, campaign))] == ["I", "q", "I", "q", "I"]


async def test_the_operator_s_word_is_a_fresh_start(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]), delivery=RESEND)
    for _ in range(3):
        await died_sending(ledgers, campaign)
    assert (await ledgers.control.retry(campaign.id, select("in_doubt", None, None, None))).recipients == 1
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        assert await worker.mark(claim, claim.recipients[0])
        await worker.delivery._give_back(campaign.id, 0, claim.token, crashed=False)
    assert await states(ledgers, campaign) == ["queued"]


async def test_a_cancelled_campaign_sends_nobody_again(ledgers: Ledgers) -> None:
    """Nor does it say `cancelled` of somebody who may have got the message."""
    campaign = await running(ledgers, drafts([1, 2]), delivery=RESEND)
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        assert await worker.mark(claim, claim.recipients[0])
        await ledgers.control.cancel(campaign.id, "wrong price")
    await reconciler(ledgers).take_over()
    assert await states(ledgers, campaign) == ["in_doubt", "cancelled"]
    await sound(ledgers, campaign)


async def test_a_paused_campaign_queues_it_and_sends_it_when_it_goes_on(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]), delivery=RESEND)
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        assert await worker.mark(claim, claim.recipients[0])
        await ledgers.control.pause(campaign.id, "wait")
    await reconciler(ledgers).take_over()
    assert await states(ledgers, campaign) == ["queued"]
    await ledgers.control.resume(campaign.id)
    await work_off(ledgers, campaign)
    assert (await sound(ledgers, campaign)).state is CampaignState.FINISHED


async def test_a_record_that_cannot_be_read_leaves_the_doubt(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]), delivery=RESEND)
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        assert await worker.mark(claim, claim.recipients[0])
    name, record = (
        ledgers.keys.campaign(campaign.id),
        await ledgers.redis.hget(ledgers.keys.campaign(campaign.id), "record"),
    )
    await ledgers.redis.eval("return redis.call('HSET', KEYS[1], 'record', ARGV[1])", 1, name, b"garbage")
    await reconciler(ledgers).take_over()
    await ledgers.redis.eval("return redis.call('HSET', KEYS[1], 'record', ARGV[1])", 1, name, record or b"")
    assert await states(ledgers, campaign) == ["in_doubt"]


@pytest.mark.parametrize("by", ["retry", "resolve"])
async def test_an_operator_s_resend_is_on_record_and_keeps_the_message(ledgers: Ledgers, by: str) -> None:
    """When, by whom and what for stand in the history; the Message-ID is the same, the token another."""
    campaign = await running(ledgers, drafts([1]))
    before = (await records(ledgers, campaign))[0].message_id
    token = await died_sending(ledgers, campaign)
    if by == "retry":
        assert (await ledgers.control.retry(campaign.id, select("in_doubt", None, None, None))).recipients == 1
    else:
        assert await ledgers.control.resolve(campaign.id, ["r1@x1.test"], Resolution.RESEND) == 1
    doubt, act = await history(ledgers, campaign)
    assert (doubt.letter, act.letter, act.reason) == ("I", "q", "operator")
    assert act.text == ("operator: retry" if by == "retry" else "operator: resend")
    assert act.at_ms >= doubt.at_ms
    assert not act.counted
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        assert claim.token != token
        assert unstuff(worker.delivery.mail_data(claim, claim.recipients[0])) == message(1)
        await worker.finish(claim, SENT)
    (record,) = await records(ledgers, campaign)
    assert (record.state, record.message_id) == ("sent", before)


async def test_what_is_final_for_good_is_moved_by_no_operator(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    await work_off(ledgers, campaign)
    for words in ("in_doubt", "deferred,failed,refused"):
        assert (await ledgers.control.retry(campaign.id, select(words, None, None, None))).recipients == 0
    for resolution in (Resolution.REFUSED, Resolution.FAILED, Resolution.RESEND):
        with pytest.raises(Exception, match="is sent, not in doubt"):
            await ledgers.control.resolve(campaign.id, ["r1@x1.test"], resolution)
    assert await states(ledgers, campaign) == ["sent"]
    assert [letter for letter, _ in steps(await history(ledgers, campaign))] == ["S"]


async def ended_in_doubt(ledgers: Ledgers, campaign: Campaign) -> None:
    """A worker gets no answer to the bodies of everybody it can claim."""
    async with hand(ledgers) as worker:
        await worker.finish(await worker.claim(campaign), IN_DOUBT)


async def test_who_got_no_answer_is_queued_again_by_the_owner_with_a_job_at_once(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2]), delivery=RESEND)
    await ended_in_doubt(ledgers, campaign)
    assert await states(ledgers, campaign) == ["queued", "queued"]
    events = await history(ledgers, campaign)
    assert steps(events) == [("I", "interrupted"), ("q", RESENT)]
    assert events[1].text == RESENT_TEXT
    assert {record.attempts for record in await records(ledgers, campaign)} == {1}
    assert ledgers.keys.job(campaign.id, 0, 1).encode() in await ledgers.redis.zrange(ledgers.keys.queue, 0, -1)
    await work_off(ledgers, campaign)
    status = await sound(ledgers, campaign)
    assert (status.state, status.totals.sent) == (CampaignState.FINISHED, 2)


async def test_a_relay_that_never_answers_gets_it_three_times(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]), delivery=RESEND)
    for _ in range(3):
        await ended_in_doubt(ledgers, campaign)
    assert await states(ledgers, campaign) == ["in_doubt"]
    assert [letter for letter, _ in steps(await history(ledgers, campaign))] == ["I", "q", "I", "q", "I"]
    assert (await sound(ledgers, campaign)).state is CampaignState.FINISHED


async def test_a_cut_in_a_cancelled_campaign_stays_in_doubt(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]), delivery=RESEND)
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        assert await worker.mark(claim, claim.recipients[0])
        await ledgers.control.cancel(campaign.id, "")
        await worker.record(claim, claim.recipients[0], IN_DOUBT)
        await worker.delivery.end_run(claim)
    assert await states(ledgers, campaign) == ["in_doubt"]
    await sound(ledgers, campaign)
