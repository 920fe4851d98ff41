"""Retrying and resolving: the chosen ones are queued again with the same message, and their history says who did it."""

import pytest

from mailer.backends.redis.ledgers import Ledgers
from mailer.policy.dot_stuffing import unstuff
from mailer.policy.selection import select
from mailer.vocabulary.acts import Resolution, Retried
from mailer.vocabulary.campaign import Campaign, CampaignState
from mailer.vocabulary.chunk import Draft
from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.outcome import Class, Outcome
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.recipient import State
from tests.ledger.campaigns import FAILED, IN_DOUBT, REFUSED, SENT, deferred, drafts, message, running, states
from tests.ledger.hands import hand, reconciler
from tests.operator.recount import forget_jobs, is_live, record_of, sound, waiting_jobs

ENDS = (SENT, REFUSED, FAILED, IN_DOUBT, Outcome(state=State.SUPPRESSED, reason="suppressed"))


async def finished(ledgers: Ledgers, *ends: Outcome) -> Campaign:
    """A campaign with one recipient for each end, packed, retired, and without a job."""
    campaign = await running(ledgers, drafts(range(1, len(ends) + 1)))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        for recipient, outcome in zip(claim.recipients, ends, strict=True):
            assert await worker.mark(claim, recipient)
            worker.delivery.record(claim, recipient, outcome)
        await worker.delivery.end_run(claim)
    await reconciler(ledgers).revive()
    await forget_jobs(ledgers)
    return campaign


async def test_refused_and_failed_are_queued_again_and_nobody_else(ledgers: Ledgers) -> None:
    campaign = await finished(ledgers, *ENDS)
    assert not await is_live(ledgers, campaign)
    before = await record_of(ledgers, campaign, 2)
    selection = select(None, None, None, None)
    assert await ledgers.control.count(campaign.id, selection) == Retried(recipients=2, without_message=0)
    assert await ledgers.control.retry(campaign.id, selection) == Retried(recipients=2, without_message=0)
    assert await states(ledgers, campaign) == ["sent", "queued", "queued", "in_doubt", "suppressed"]
    status = await sound(ledgers, campaign)
    assert (status.state, status.finished_ms) == (CampaignState.RUNNING, None)
    assert await is_live(ledgers, campaign)
    assert await waiting_jobs(ledgers, campaign) == {0}
    after = await record_of(ledgers, campaign, 2)
    assert (after.text, after.reason, after.attempts, after.message_id) == (
        "operator: retry",
        "operator",
        1,
        before.message_id,
    )
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        contents = [(one.row, unstuff(worker.delivery.mail_data(claim, one))) for one in claim.recipients]
        assert contents == [(2, message(2)), (3, message(3))]
        await worker.finish(claim, SENT)
    status = await sound(ledgers, campaign)
    assert (status.state, status.totals.sent, status.totals.in_doubt) == (CampaignState.FINISHED, 3, 1)
    assert (await record_of(ledgers, campaign, 2)).attempts == 2
    assert await ledgers.control.retry(campaign.id, selection) == Retried(recipients=0, without_message=0)


async def test_those_in_doubt_are_tried_again_only_when_they_are_named(ledgers: Ledgers) -> None:
    campaign = await finished(ledgers, *ENDS)
    assert (await ledgers.control.retry(campaign.id, select("in_doubt", None, None, None))).recipients == 1
    assert await states(ledgers, campaign) == ["sent", "refused", "failed", "queued", "suppressed"]
    await sound(ledgers, campaign)


async def test_deferred_means_now(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        for recipient in claim.recipients:
            worker.delivery.record(claim, recipient, deferred(claim.redis_ms + 60_000))
        await worker.delivery.end_run(claim)
        assert not (await worker.claim(campaign)).recipients
        assert (await ledgers.control.retry(campaign.id, select("deferred", "4xx", "x1.test", None))).recipients == 1
        assert await states(ledgers, campaign) == ["queued", "deferred"]
        await sound(ledgers, campaign)
        again = await worker.claim(campaign)
        assert [one.row for one in again.recipients] == [1]
        await worker.finish(again, SENT)
    await sound(ledgers, campaign)


async def test_a_retry_counts_as_a_fresh_start_for_age_and_protocol_errors(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        worker.delivery.record(claim, claim.recipients[0], deferred(claim.redis_ms))
        await worker.delivery.end_run(claim)
        assert (await ledgers.control.retry(campaign.id, select(None, None, None, None))).recipients == 1
        (recipient,) = (await worker.claim(campaign)).recipients
    assert (recipient.was_deferred, recipient.protocol_errors, recipient.attempts) == (False, 0, 1)


@pytest.mark.parametrize(
    ("flags", "rows"),
    [
        ((None, "550", None, None), [2, 4]),
        ((None, "5xx", None, 1), [2]),
        (("refused,failed", None, "X0.test", None), [3]),
        ((None, None, None, 2), [2, 3]),
        ((None, "4xx", None, None), []),
    ],
)
async def test_code_domain_and_limit_narrow_the_choice(
    ledgers: Ledgers, flags: tuple[str | None, str | None, str | None, int | None], rows: list[int]
) -> None:
    campaign = await finished(ledgers, SENT, REFUSED, FAILED, REFUSED)
    assert (await ledgers.control.count(campaign.id, select(*flags))).recipients == len(rows)
    await ledgers.control.retry(campaign.id, select(*flags))
    found = await states(ledgers, campaign)
    assert [row for row, state in enumerate(found, 1) if state == "queued"] == rows
    await sound(ledgers, campaign)


async def test_who_has_no_message_cannot_be_tried_again_and_is_counted(ledgers: Ledgers) -> None:
    broken = Outcome(state=State.FAILED, phase=Phase.BUILD, failure=Class.LOCAL, text="the template needs first_name")
    campaign = await running(
        ledgers, [*drafts([1]), Draft(row=2, email="no@body.test", content=b"", outcome=broken), *drafts([3])]
    )
    async with hand(ledgers) as worker:
        await worker.finish(await worker.claim(campaign), REFUSED)
    made = await ledgers.control.retry(campaign.id, select(None, None, None, None))
    assert made == Retried(recipients=2, without_message=1)
    assert await states(ledgers, campaign) == ["queued", "failed", "queued"]
    await sound(ledgers, campaign)


async def test_who_is_final_and_not_packed_yet_can_be_tried_again(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        await worker.record(claim, claim.recipients[0], REFUSED)
        assert (await ledgers.control.retry(campaign.id, select(None, None, None, None))).recipients == 1
        assert await states(ledgers, campaign) == ["queued", "claimed"]
        # The one who held it before has lost it.
        await worker.record(claim, claim.recipients[0], SENT)
        assert await states(ledgers, campaign) == ["queued", "claimed"]
        await worker.record(claim, claim.recipients[1], SENT)
        await worker.delivery.end_run(claim)
    await sound(ledgers, campaign)


async def test_nobody_of_a_draft_or_a_cancelled_campaign_is_tried_again(ledgers: Ledgers) -> None:
    campaign = await finished(ledgers, REFUSED, IN_DOUBT, SENT)
    await ledgers.control.retry(campaign.id, select(None, None, None, None))
    await ledgers.control.cancel(campaign.id, "stop")
    assert await states(ledgers, campaign) == ["cancelled", "in_doubt", "sent"]
    for act in (
        ledgers.control.retry(campaign.id, select(None, None, None, None)),
        ledgers.control.resolve(campaign.id, ["r2@x2.test"], Resolution.RESEND),
    ):
        with pytest.raises(UsageError) as caught:
            await act
        assert caught.value.code == "E114"
    assert await ledgers.control.resolve(campaign.id, ["r2@x2.test"], Resolution.SENT) == 1
    await sound(ledgers, campaign)


@pytest.mark.parametrize("resolution", list(Resolution))
async def test_the_operator_ends_a_doubt_and_is_on_record(ledgers: Ledgers, resolution: Resolution) -> None:
    campaign = await finished(ledgers, IN_DOUBT, IN_DOUBT, SENT)
    assert await ledgers.control.resolve(campaign.id, ["R1@X1.test".lower()], resolution) == 1
    assert await ledgers.control.resolve(campaign.id, ["r1@x1.test"], resolution) == 0
    wanted = "queued" if resolution is Resolution.RESEND else resolution.value
    assert await states(ledgers, campaign) == [wanted, "in_doubt", "sent"]
    record = await record_of(ledgers, campaign, 1)
    assert (record.reason, (record.text or "").partition(":")[0]) == ("operator", "operator")
    status = await sound(ledgers, campaign)
    running_again = resolution is Resolution.RESEND
    assert status.state is (CampaignState.RUNNING if running_again else CampaignState.FINISHED)
    assert await waiting_jobs(ledgers, campaign) == ({0} if running_again else set())


async def test_a_doubt_that_is_not_packed_yet_can_be_ended(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        await worker.record(claim, claim.recipients[0], IN_DOUBT)
        assert await ledgers.control.resolve(campaign.id, ["r1@x1.test"], Resolution.REFUSED) == 1
        assert await states(ledgers, campaign) == ["refused", "claimed"]
        await worker.record(claim, claim.recipients[1], SENT)
        await worker.delivery.end_run(claim)
    await sound(ledgers, campaign)


async def test_nothing_is_resolved_when_one_is_not_in_doubt_or_not_there(ledgers: Ledgers) -> None:
    campaign = await finished(ledgers, IN_DOUBT, SENT)
    for addresses, code in ((["r1@x1.test", "r2@x2.test"], "E114"), (["r1@x1.test", "who@x1.test"], "E119")):
        with pytest.raises(UsageError) as caught:
            await ledgers.control.resolve(campaign.id, addresses, Resolution.REFUSED)
        assert caught.value.code == code
    assert await states(ledgers, campaign) == ["in_doubt", "sent"]


async def test_a_poisoned_message_that_is_retried_gets_one_more_crash(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    for crashes in (1, 2, 3):
        async with hand(ledgers) as worker:
            assert (await worker.claim(campaign)).recipients[0].crashes == crashes - 1
        await reconciler(ledgers).take_over()
    assert await states(ledgers, campaign) == ["failed"]
    assert (await ledgers.control.retry(campaign.id, select("failed", None, None, None))).recipients == 1
    async with hand(ledgers) as worker:
        assert (await worker.claim(campaign)).recipients[0].crashes == 2
    await reconciler(ledgers).take_over()
    assert await states(ledgers, campaign) == ["failed"]
    await sound(ledgers, campaign)


async def test_who_is_on_the_do_not_send_list_stays_what_he_is_until_he_is_taken_off(ledgers: Ledgers) -> None:
    campaign = await finished(ledgers, REFUSED, REFUSED, IN_DOUBT)
    for address in ("r1@x1.test", "r3@x0.test"):
        await ledgers.suppression.add(address, "550 5.1.1 unknown user")
    selection = select(None, None, None, None)
    expected = Retried(recipients=1, without_message=0, suppressed=1)
    assert await ledgers.control.count(campaign.id, selection) == expected
    assert await ledgers.control.retry(campaign.id, selection) == expected
    with pytest.raises(UsageError, match="do-not-send list"):
        await ledgers.control.resolve(campaign.id, ["r3@x0.test"], Resolution.RESEND)
    assert await states(ledgers, campaign) == ["refused", "queued", "in_doubt"]
    await ledgers.suppression.remove("r1@x1.test")
    assert (await ledgers.control.retry(campaign.id, selection)).recipients == 1
    await sound(ledgers, campaign)
