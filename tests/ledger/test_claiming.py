"""Claims, marks and outcomes: each a compare-and-set on state and token, safe to repeat, and never by somebody else."""

import asyncio
import random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from mailer.backends.redis.ledgers import Ledgers
from mailer.backends.redis.scripts import CLAIM, TRANSITION
from mailer.policy.dot_stuffing import unstuff
from mailer.vocabulary.campaign import CampaignState, PausedBy
from mailer.vocabulary.outcome import Class, Outcome
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.recipient import State
from mailer.vocabulary.reply import Reply
from tests.ledger.campaigns import (
    IN_DOUBT,
    REFUSED,
    RELEASED,
    SENT,
    checked,
    deferred,
    drafts,
    message,
    records,
    running,
    states,
)
from tests.ledger.hands import Hand, hand, reconciler
from tests.thorough import thorough

if TYPE_CHECKING:
    from mailer.vocabulary.chunk import Claim


async def test_a_claim_has_everything_that_is_needed_to_send(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2, 3]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        assert [(one.row, one.email, unstuff(worker.delivery.mail_data(claim, one))) for one in claim.recipients] == [
            (row, f"r{row}@x{row % 3}.test", message(row)) for row in (1, 2, 3)
        ]
    assert {(one.attempts, one.crashes, one.was_deferred, one.last) for one in claim.recipients} == {
        (0, 0, False, None)
    }
    assert all(0 <= claim.redis_ms - one.accepted_ms < 60_000 for one in claim.recipients)
    status = await checked(ledgers, campaign)
    assert status.totals.claimed == 3
    assert status.started_ms == claim.redis_ms


@pytest.mark.thorough
async def test_of_two_who_race_for_a_chunk_each_recipient_goes_to_exactly_one(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2, 3]))
    async with hand(ledgers) as one, hand(ledgers) as other:
        for _ in range(200):
            first, second = await asyncio.gather(one.claim(campaign), other.claim(campaign))
            assert sorted(len(claim.recipients) for claim in (first, second)) == [0, 3]
            for worker, claim in ((one, first), (other, second)):
                for recipient in claim.recipients:
                    worker.delivery.record(claim, recipient, RELEASED)
                await worker.written(claim)
    assert (await checked(ledgers, campaign)).totals.queued == 3


async def test_a_claim_that_is_repeated_after_a_lost_reply_gets_the_same_recipients(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2, 3]))
    key, base = ledgers.keys.campaign(campaign.id), ledgers.keys.base(campaign.id)
    first = await CLAIM(ledgers.redis, [key], base, 0, "me.1")
    again = await CLAIM(ledgers.redis, [key], base, 0, "me.1")
    assert sorted(again[2::2]) == sorted(first[2::2]) == [b"0", b"1", b"2"]
    assert (await CLAIM(ledgers.redis, [key], base, 0, "me.2"))[2:] == []
    assert (await checked(ledgers, campaign)).totals.claimed == 3


async def test_whoever_is_cancelled_while_he_claims_holds_nothing_and_is_no_crash(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2, 3]))
    async with hand(ledgers) as worker:
        await worker.beat()
        for turns in range(40):
            claiming = asyncio.create_task(worker.claim(campaign))
            for _ in range(turns):
                await asyncio.sleep(0)
            claiming.cancel()
            (claim,) = await asyncio.gather(claiming, return_exceptions=True)
            if not isinstance(claim, BaseException):
                for recipient in claim.recipients:
                    worker.delivery.record(claim, recipient, RELEASED)
                await worker.delivery.end_run(claim)
        assert (await checked(ledgers, campaign)).totals.queued == 3
        assert await ledgers.redis.hkeys(ledgers.keys.base(campaign.id) + "h") == []
        assert {one.crashes for one in (await worker.claim(campaign)).recipients} == {0}


async def test_the_mark_is_given_once_and_again_to_the_same_attempt(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        assert await worker.mark(claim, claim.recipients[0])
        assert await worker.mark(claim, claim.recipients[0])
        assert (await checked(ledgers, campaign)).totals.sending == 1


async def test_the_mark_is_refused_to_everybody_else(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    async with hand(ledgers) as zombie, hand(ledgers) as worker:
        stale = await zombie.claim(campaign)
        await reconciler(ledgers).take_over()
        assert not await zombie.mark(stale, stale.recipients[0])
        claim = await worker.claim(campaign)
        assert not await zombie.mark(stale, stale.recipients[0])
        assert await worker.mark(claim, claim.recipients[0])
        assert not await zombie.mark(stale, stale.recipients[0])
        await zombie.record(stale, stale.recipients[0], SENT)
        assert await states(ledgers, campaign) == ["sending"]


async def test_a_second_claim_of_the_same_worker_has_a_token_of_its_own(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    async with hand(ledgers) as worker:
        first = await worker.claim(campaign)
        await worker.record(first, first.recipients[0], RELEASED)
        second = await worker.claim(campaign)
        assert not await worker.mark(first, first.recipients[0])
        assert await worker.mark(second, second.recipients[0])


async def test_nothing_is_claimed_or_marked_while_the_campaign_is_paused(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        assert await worker.mark(claim, claim.recipients[0])
        assert await worker.delivery.pause(campaign.id, "E403 login refused", PausedBy.SERVICE)
        assert not await worker.delivery.pause(campaign.id, "again", PausedBy.REFUSALS)
        assert not await worker.mark(claim, claim.recipients[1])
        assert await worker.mark(claim, claim.recipients[0]), "what has its mark keeps it"
        await worker.record(claim, claim.recipients[0], SENT)
        await worker.record(claim, claim.recipients[1], RELEASED)
        assert (await worker.claim(campaign)).recipients == ()
        status = await checked(ledgers, campaign)
        assert (status.state, status.paused_reason, status.paused_by) == (
            CampaignState.PAUSED,
            "E403 login refused",
            PausedBy.SERVICE,
        )
        assert await ledgers.campaigns.resume(campaign.id)
        assert not await ledgers.campaigns.resume(campaign.id)
        assert (await checked(ledgers, campaign)).paused_reason is None
        await worker.finish(await worker.claim(campaign), SENT)
    assert (await checked(ledgers, campaign)).state is CampaignState.FINISHED


async def test_a_campaign_whose_last_outcome_came_while_it_was_paused_is_finished_when_resumed(
    ledgers: Ledgers,
) -> None:
    campaign = await running(ledgers, drafts([1]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        assert await worker.mark(claim, claim.recipients[0])
        await worker.delivery.pause(campaign.id, "reason", PausedBy.OPERATOR)
        await worker.record(claim, claim.recipients[0], SENT)
    assert (await checked(ledgers, campaign)).state is CampaignState.PAUSED
    await ledgers.campaigns.resume(campaign.id)
    assert (await checked(ledgers, campaign)).state is CampaignState.FINISHED


async def test_an_address_suppressed_meanwhile_is_told_at_the_claim_and_refused_the_mark(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2, 3]))
    await ledgers.suppression.add("r1@x1.test", "asked for it")
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        assert claim.suppressed == {"r1@x1.test"}
        await ledgers.suppression.add("r2@x2.test", "asked for it just now")
        assert [await worker.mark(claim, recipient) for recipient in claim.recipients] == [False, False, True]


@pytest.mark.parametrize("outcome", [SENT, REFUSED, IN_DOUBT, RELEASED, deferred(4_000_000_000_000)])
async def test_an_outcome_that_is_written_twice_counts_once(ledgers: Ledgers, outcome: Outcome) -> None:
    campaign = await running(ledgers, drafts([1, 2]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        recipient = claim.recipients[0]
        assert await worker.mark(claim, recipient)
        await worker.record(claim, recipient, outcome)
        log = await ledgers.redis.get(ledgers.keys.base(campaign.id) + "o:0")
        before = await records(ledgers, campaign)
        await worker.record(claim, recipient, outcome)
        assert await records(ledgers, campaign) == before
        assert await ledgers.redis.get(ledgers.keys.base(campaign.id) + "o:0") == log
        assert before[0].state is outcome.state
        assert before[0].attempts == int(outcome.counted)
        await checked(ledgers, campaign)


async def test_what_is_final_is_never_changed_by_a_later_outcome(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        await worker.record(claim, claim.recipients[0], REFUSED)
        before = await records(ledgers, campaign)
        for outcome in (SENT, RELEASED, IN_DOUBT, deferred(1)):
            await worker.record(claim, claim.recipients[0], outcome)
        assert not await worker.mark(claim, claim.recipients[0])
        assert await records(ledgers, campaign) == before
        await worker.delivery.end_run(claim)
        await worker.record(claim, claim.recipients[0], SENT)
        assert await records(ledgers, campaign) == before
    assert (await checked(ledgers, campaign)).state is CampaignState.FINISHED


async def test_a_deferred_recipient_is_claimed_when_it_is_due_and_not_before(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        past, future = claim.redis_ms - 1, claim.redis_ms + 3_600_000
        worker.delivery.record(claim, claim.recipients[0], deferred(past))
        worker.delivery.record(claim, claim.recipients[1], deferred(future))
        await worker.delivery.end_run(claim)
        assert (await checked(ledgers, campaign)).next_due_ms == past
        again = await worker.claim(campaign)
        (recipient,) = again.recipients
        assert (recipient.row, recipient.attempts, recipient.was_deferred) == (1, 1, True)
        assert recipient.last is not None
        assert (recipient.last.reply, recipient.last.reason) == (Reply(451, "4.7.1", "later"), "greylisted")
        status = await checked(ledgers, campaign)
        assert (status.next_due_ms, status.is_resting) == (future, False)
        await worker.finish(again, SENT)
        status = await checked(ledgers, campaign)
        assert (status.next_due_ms, status.is_resting) == (future, True)
        first, second = await records(ledgers, campaign)
        assert (first.state, first.attempts, first.next_try) == (State.SENT, 2, None)
        assert second.next_try is not None
        assert second.next_try.timestamp() * 1000 == future


async def test_protocol_errors_of_earlier_attempts_are_known_at_the_claim(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    error = Outcome(
        state=State.DEFERRED, phase=Phase.DATA, failure=Class.TEMPORARY, reason="protocol", text="?", due_ms=0
    )
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        await worker.record(claim, claim.recipients[0], error)
        assert (await worker.claim(campaign)).recipients[0].protocol_errors == 1


async def test_a_permanent_refusal_of_an_address_puts_it_on_the_list_with_the_reason(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        for recipient in claim.recipients:
            refusal = Outcome(
                state=State.REFUSED,
                phase=Phase.RCPT,
                failure=Class.PERMANENT,
                reason="no_such_mailbox",
                reply=Reply(550, "5.1.1", "unknown"),
                suppress=recipient.row == 1,
            )
            await worker.record(claim, recipient, refusal)
    assert await ledgers.intake.suppressed(["r1@x1.test", "r2@x2.test"]) == {"r1@x1.test"}
    note = await ledgers.redis.hget(ledgers.keys.suppressed, "r1@x1.test")
    assert note is not None
    assert b"550 5.1.1 unknown" in note
    assert campaign.id.encode() in note


async def test_without_its_own_lease_a_worker_asks_for_no_mark_and_trusts_none(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2]))
    holding = iter([False, True, False])
    async with hand(ledgers, lambda: next(holding)) as worker:
        claim = await worker.claim(campaign)
        assert not await worker.mark(claim, claim.recipients[0])
        assert (await checked(ledgers, campaign)).totals.sending == 0
        assert not await worker.mark(claim, claim.recipients[1]), "the lease ended while the mark was written"


async def test_a_late_reply_is_kept_beside_the_record_in_doubt_and_changes_no_state(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        recipient = claim.recipients[0]
        assert await worker.mark(claim, recipient)
        assert await reconciler(ledgers).take_over() == 2
        (before, _) = await records(ledgers, campaign)
        assert (before.state, before.text) == (State.IN_DOUBT, "worker died while sending; not re-sent")
        await worker.record(claim, recipient, SENT)
        (after, _) = await records(ledgers, campaign)
        assert after.state is State.IN_DOUBT
        assert (await checked(ledgers, campaign)).totals.sent == 0
        log = await ledgers.redis.get(ledgers.keys.base(campaign.id) + "o:0")
        assert log is not None
        assert b"queued as 4XyZ1234" in log


async def test_marks_and_outcomes_of_a_campaign_that_is_gone_are_given_up(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        await ledgers.redis.unlink(ledgers.keys.campaign(campaign.id))
        assert not await worker.mark(claim, claim.recipients[0])
        worker.delivery.record(claim, claim.recipients[0], SENT)
        await worker.delivery.end_run(claim)


@pytest.mark.parametrize(("people", "encoding"), [(20, b"listpack"), (100, b"hashtable")])
async def test_a_chunk_in_hand_is_no_list_to_go_through_for_every_message(
    ledgers: Ledgers, people: int, encoding: bytes
) -> None:
    """A small one may be; and what made it a table is gone."""
    campaign = await running(ledgers, drafts(range(1, people + 1)))
    key = ledgers.keys.base(campaign.id) + "s:0"
    client: Any = ledgers.redis
    async with hand(ledgers) as worker:
        assert await client.object("ENCODING", key) == b"listpack"
        await worker.claim(campaign)
        assert await client.object("ENCODING", key) == encoding
        assert set(await ledgers.redis.hkeys(key)) == {b"%d" % index for index in range(people)}


async def test_one_call_with_many_operations_answers_each_of_them(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2, 3]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
    keys = [ledgers.keys.campaign(campaign.id), ledgers.keys.suppressed]
    columns = ([0] * 4, ["0", "1", "7", "0"], [claim.token] * 4, ["a@x.test"] * 4, [*"gggS"], [1], [0], [""])
    base = ledgers.keys.base(campaign.id)
    assert await TRANSITION(ledgers.redis, keys, base, msgspec.msgpack.encode(columns), b"") == [1, 1, 0, 1]


@pytest.mark.parametrize("seed", [0, *thorough(1, 2, 3)])
async def test_whatever_workers_do_everybody_is_in_one_state_and_the_sums_are_right(
    ledgers: Ledgers, seed: int
) -> None:
    chance = random.Random(seed)
    rows = list(range(1, 19))
    campaign = await running(ledgers, *(drafts(rows[start : start + 6]) for start in (0, 6, 12)))
    healer = reconciler(ledgers)
    final: dict[int, State] = {}
    async with hand(ledgers) as one, hand(ledgers) as two, hand(ledgers) as three:
        workers = [one, two, three]
        claims: list[tuple[Hand, Claim]] = []
        for _ in range(120):
            worker = chance.choice(workers)
            what = chance.random()
            if what < 0.25 or not claims:
                claims.append((worker, await worker.claim(campaign, chance.randrange(3))))
            elif what < 0.45:
                owner, claim = chance.choice(claims)
                for recipient in claim.recipients:
                    if chance.random() < 0.6:
                        await owner.mark(claim, recipient)
            elif what < 0.75:
                owner, claim = chance.choice(claims)
                now = claim.redis_ms
                for recipient in claim.recipients:
                    if chance.random() < 0.4:
                        ends = [SENT, REFUSED, IN_DOUBT, RELEASED, deferred(now), deferred(now + 3_600_000)]
                        owner.delivery.record(claim, recipient, chance.choice(ends))
                await owner.written(claim)
            elif what < 0.85:
                owner, claim = chance.choice(claims)
                await owner.delivery.end_run(claim, rest_s=chance.choice([0.0, 0.0, 5.0]))
            elif what < 0.93:
                for living in chance.sample(workers, 2):
                    await living.beat()
                await healer.take_over()
                await ledgers.redis.unlink(ledgers.keys.workers)
            elif what < 0.97:
                await healer.revive()
            else:
                await one.delivery.pause(campaign.id, "a break", PausedBy.OPERATOR)
                await checked(ledgers, campaign)
                await ledgers.campaigns.resume(campaign.id)
            await checked(ledgers, campaign)
            found = await records(ledgers, campaign)
            assert [record.row for record in found] == rows
            for record in found:
                assert final.get(record.row) in (None, record.state)
                if record.state.is_final:
                    final[record.row] = record.state
        await ledgers.redis.unlink(ledgers.keys.workers)
        await healer.take_over()
        for chunk in (0, 1, 2) * 12:
            claim = await one.claim(campaign, chunk)
            await one.finish(claim, SENT)
            await checked(ledgers, campaign)
    status = await checked(ledgers, campaign)
    assert status.totals.open == status.totals.deferred
    assert status.state is (CampaignState.RUNNING if status.totals.deferred else CampaignState.FINISHED)


class Open:
    """A worker's own idea of the gate: that it is open."""

    async def may_claim(self) -> bool:
        return True

    def was_barred(self) -> None:
        """It is not."""


@pytest.mark.parametrize("meanwhile", ["closed", "paused", "cancelled"])
async def test_what_was_granted_when_the_answer_was_lost_is_given_back_by_a_later_no(
    ledgers: Ledgers, meanwhile: str
) -> None:
    """The client asks again by itself, and then nothing is claimed any more; the worker lives on."""
    campaign = await running(ledgers, drafts([1, 2]))
    names, base = [ledgers.keys.campaign(campaign.id)], ledgers.keys.base(campaign.id)
    async with hand(ledgers) as worker:
        await worker.beat()
        await CLAIM(ledgers.redis, names, base, 0, f"{worker.owner}.1")
        assert (await checked(ledgers, campaign)).totals.claimed == 2
        if meanwhile == "closed":
            worker.delivery.door = Open()
        elif meanwhile == "paused":
            await ledgers.control.pause(campaign.id, "wrong price")
        else:
            await ledgers.control.cancel(campaign.id, "wrong price")
        claim = await worker.claim(campaign)
        assert (claim.token, claim.recipients) == (f"{worker.owner}.1", ())
        await worker.delivery.end_run(claim)
    totals = (await checked(ledgers, campaign)).totals
    assert (totals.claimed, totals.queued + totals.cancelled) == (0, 2)
    assert await ledgers.redis.hkeys(base + "h") == []
