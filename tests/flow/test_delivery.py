"""Delivery: every end of an attempt becomes the right state of its recipient, and nobody is lost or sent twice."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import structlog.testing

from mailer.backends.redis.entries import read_messages, write_messages
from mailer.backends.redis.ledgers import Ledgers
from mailer.backends.redis.limiter import RedisLimiter
from mailer.flow.delivery import Delivery
from mailer.flow.run import Route
from mailer.policy.breaker import RouteBreaker
from mailer.vocabulary.campaign import Campaign, CampaignState, PausedBy
from mailer.vocabulary.chunk import Claim
from mailer.vocabulary.errors import RelayError, UsageError
from mailer.vocabulary.outcome import Class
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.recipient import State
from mailer.vocabulary.settings import DeliverySettings
from mailer.vocabulary.transmission import Unsendable
from mailer.vocabulary.verdict import Reason
from tests.flow.relay import OK, Hangs, ScriptedRelay, Step, cut, says
from tests.ledger.campaigns import checked, deferred, drafts, records, running, states
from tests.ledger.hands import Hand, hand
from tests.servers import until

DOWN = RelayError("E401", "cannot reach relay.test:587", retryable=True)
WRONG_PASSWORD = RelayError("E403", "the server refuses user name or password")


@dataclass
class Work:
    """A worker of the delivery, without the process around it."""

    hand: Hand
    relay: ScriptedRelay
    route: Route
    delivery: Delivery

    async def once(self, campaign: Campaign, chunk: int = 0) -> None:
        await self.delivery.work(campaign.id, chunk)
        await checked(self.hand.ledgers, campaign)


@asynccontextmanager
async def at_work(ledgers: Ledgers, relay: ScriptedRelay, connections: int = 2) -> AsyncIterator[Work]:
    route = Route(relay, connections, "relay.test:587")
    async with hand(ledgers) as worker:
        limiter = RedisLimiter(ledgers.redis, ledgers.keys)
        yield Work(worker, relay, route, Delivery(worker.delivery, lambda campaign: route, "here:1", limiter))


async def rests_for(ledgers: Ledgers, campaign: Campaign) -> float:
    """Seconds until the campaign goes on by itself."""
    status = await ledgers.reading.status(campaign.id)
    seconds, micro = await ledgers.redis.time()
    assert status.next_due_ms is not None
    return status.next_due_ms / 1000 - (seconds + micro / 1e6)


async def test_everybody_is_sent_to_once_over_as_many_connections_as_the_route_allows(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts(range(1, 21)))
    async with at_work(ledgers, ScriptedRelay(), connections=4) as work:
        await work.once(campaign)
    assert set(work.relay.taken.values()) == {1}
    assert (len(work.relay.taken), work.relay.busiest, work.relay.opened) == (20, 4, 4)
    status = await checked(ledgers, campaign)
    assert (status.state, status.totals.sent) == (CampaignState.FINISHED, 20)
    assert work.delivery.counts == {"sent": 20}
    first = (await records(ledgers, campaign))[0]
    assert (first.code, first.attempts, first.relay, first.tls, first.worker, first.server_queue_id) == (
        250,
        1,
        "relay.test:587",
        "TLSv1.3",
        "here:1",
        "4XyZ1234",
    )
    assert first.first_try is not None
    assert first.last_try is not None
    assert first.first_try <= first.last_try


@pytest.mark.parametrize(
    ("step", "state", "reason", "attempts"),
    [
        (OK, State.SENT, None, 1),
        (says(Phase.DOT, "250 ok"), State.SENT, None, 1),
        (says(Phase.RCPT, "550 5.1.1 unknown user"), State.REFUSED, Reason.NO_SUCH_MAILBOX, 1),
        (says(Phase.DOT, "554 5.7.1 rejected"), State.REFUSED, None, 1),
        (says(Phase.DOT, "552 5.3.4 too big"), State.FAILED, Reason.TOO_BIG, 1),
        (says(Phase.RCPT, "451 4.7.1 greylisted, try again later"), State.DEFERRED, Reason.GREYLISTED, 1),
        (says(Phase.DOT, "451 4.3.0 later"), State.DEFERRED, None, 1),
        (says(Phase.DOT, "421 4.3.2 shutting down"), State.DEFERRED, None, 1),
        (cut(Phase.BODY), State.IN_DOUBT, Reason.INTERRUPTED, 1),
        (cut(Phase.DOT), State.IN_DOUBT, Reason.INTERRUPTED, 1),
        (Unsendable(Reason.TOO_BIG, "too big"), State.FAILED, Reason.TOO_BIG, 1),
        (Unsendable(Reason.SMTPUTF8, "not ASCII"), State.FAILED, Reason.SMTPUTF8, 1),
    ],
    ids=str,
)
async def test_each_end_of_an_attempt_is_the_right_state(
    ledgers: Ledgers, step: Step, state: State, reason: Reason | None, attempts: int
) -> None:
    campaign = await running(ledgers, drafts([1]))
    async with at_work(ledgers, ScriptedRelay(lambda email, tried: step)) as work:
        await work.once(campaign)
    (record,) = await records(ledgers, campaign)
    assert (record.state, record.attempts) == (state, attempts)
    assert reason is None or record.reason == reason
    assert work.relay.tried.total() == 1


async def test_what_is_about_the_sender_leaves_the_recipient_as_he_was(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2, 3]))
    refusal = says(Phase.MAIL, "550 5.1.8 sender refused")
    async with at_work(ledgers, ScriptedRelay(lambda email, tried: refusal), connections=1) as work:
        await work.once(campaign)
    status = await checked(ledgers, campaign)
    assert (status.state, status.paused_by, status.totals.queued) == (CampaignState.PAUSED, PausedBy.SERVICE, 3)
    assert {record.attempts for record in await records(ledgers, campaign)} == {0}
    assert work.relay.tried.total() == 1


async def test_a_connection_lost_before_the_body_is_tried_again_at_once(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2]))
    relay = ScriptedRelay(lambda email, tried: cut(Phase.DATA) if tried == 1 else OK)
    async with at_work(ledgers, relay) as work:
        await work.once(campaign)
    assert [(record.state, record.attempts) for record in await records(ledgers, campaign)] == [(State.SENT, 1)] * 2
    assert set(relay.taken.values()) == {1}


async def test_a_connection_lost_twice_before_the_body_at_one_recipient_defers_him(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2]))
    relay = ScriptedRelay(lambda email, tried: cut(Phase.RCPT) if email == "r1@x1.test" else OK)
    async with at_work(ledgers, relay, connections=1) as work:
        await work.once(campaign)
    first, second = await records(ledgers, campaign)
    assert (first.state, first.attempts, second.state) == (State.DEFERRED, 1, State.SENT)
    assert relay.tried["r1@x1.test"] == 2


async def test_a_relay_that_is_away_burns_nobody_and_the_chunk_rests(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts(range(1, 11)))
    async with at_work(ledgers, ScriptedRelay(refusing=DOWN)) as work:
        await work.once(campaign)
        assert 0 < await rests_for(ledgers, campaign) <= 1.2
    assert (await checked(ledgers, campaign)).state is CampaignState.RUNNING
    assert {(record.state, record.attempts) for record in await records(ledgers, campaign)} == {(State.QUEUED, 0)}
    assert work.delivery.counts == {}


async def test_whoever_could_not_be_tried_in_all_his_time_is_given_up_and_the_reason_is_told(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2, 3]), delivery=DeliverySettings(max_age=0.05))
    async with at_work(ledgers, ScriptedRelay(refusing=DOWN)) as work:
        await asyncio.sleep(0.06)
        # Old enough, but the relay was not away for so long.
        await work.once(campaign)
        assert await states(ledgers, campaign) == ["queued"] * 3
        await until(lambda: work.route.down_for() > 0.05)
        await work.once(campaign)
    for record in await records(ledgers, campaign):
        assert (record.state, record.reason, record.phase, record.attempts) == (
            State.FAILED,
            "expired",
            Phase.CONNECT,
            0,
        )
        assert record.text == "E401 cannot reach relay.test:587"
    assert (await checked(ledgers, campaign)).state is CampaignState.FINISHED


async def test_whoever_waited_for_days_without_a_failure_is_still_sent_to(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2]), delivery=DeliverySettings(max_age=0.001))
    async with at_work(ledgers, ScriptedRelay()) as work:
        await asyncio.sleep(0.005)
        await work.once(campaign)
    assert await states(ledgers, campaign) == ["sent"] * 2


async def test_a_relay_that_nobody_but_a_person_can_mend_pauses_the_campaign_with_the_reason(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2, 3]))
    async with at_work(ledgers, ScriptedRelay(refusing=WRONG_PASSWORD)) as work:
        await work.once(campaign)
    status = await checked(ledgers, campaign)
    assert (status.state, status.paused_reason, status.paused_by) == (
        CampaignState.PAUSED,
        "E403 the server refuses user name or password",
        PausedBy.SERVICE,
    )
    assert await states(ledgers, campaign) == ["queued"] * 3


async def test_refusals_of_what_is_sent_pause_the_campaign_after_five_in_a_row(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts(range(1, 21)))
    spam = says(Phase.DOT, "554 5.7.1 looks like spam")
    async with at_work(ledgers, ScriptedRelay(lambda email, tried: spam), connections=1) as work:
        await work.once(campaign)
        status = await checked(ledgers, campaign)
        assert (status.state, status.paused_by) == (CampaignState.PAUSED, PausedBy.REFUSALS)
        assert status.paused_reason is not None
        assert "554 5.7.1 looks like spam" in status.paused_reason
        assert (status.totals.refused, status.totals.queued) == (5, 15)
        # A person has mended it: everybody else is sent to.
        work.relay.script = lambda email, tried: OK
        await ledgers.campaigns.resume(campaign.id)
        await work.once(campaign)
    assert (await checked(ledgers, campaign)).totals.sent == 15


async def test_messages_the_server_finds_too_big_pause_the_campaign_as_well(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts(range(1, 21)))
    async with at_work(ledgers, ScriptedRelay(lambda *_: Unsendable(Reason.TOO_BIG, "9 MB")), connections=1) as work:
        await work.once(campaign)
    status = await checked(ledgers, campaign)
    assert (status.state, status.totals.failed) == (CampaignState.PAUSED, 5)


async def test_refusals_of_addresses_pause_nothing(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts(range(1, 21)))
    unknown = says(Phase.RCPT, "550 5.1.1 unknown user")
    async with at_work(ledgers, ScriptedRelay(lambda email, tried: unknown)) as work:
        await work.once(campaign)
    status = await checked(ledgers, campaign)
    assert (status.state, status.totals.refused) == (CampaignState.FINISHED, 20)
    assert await ledgers.intake.suppressed(["r1@x1.test"]) == {"r1@x1.test"}


async def test_who_was_suppressed_meanwhile_is_not_tried(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2]))
    await ledgers.suppression.add("r1@x1.test", "asked for it")
    async with at_work(ledgers, ScriptedRelay()) as work:
        await work.once(campaign)
    assert await states(ledgers, campaign) == ["suppressed", "sent"]
    assert work.relay.tried["r1@x1.test"] == 0


async def test_who_was_deferred_for_too_long_is_given_up_with_the_last_reply(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]), delivery=DeliverySettings(max_age=0.001))
    async with at_work(ledgers, ScriptedRelay()) as work:
        claim = await work.hand.claim(campaign)
        await work.hand.record(claim, claim.recipients[0], deferred(claim.redis_ms))
        await asyncio.sleep(0.005)
        await work.once(campaign)
    (record,) = await records(ledgers, campaign)
    assert (record.state, record.reason, record.code, record.failure) == (
        State.FAILED,
        "expired",
        451,
        Class.TEMPORARY,
    )
    assert work.relay.tried.total() == 0


async def test_a_drained_worker_finishes_what_is_on_the_wire_and_gives_the_rest_back(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts(range(1, 11)))
    work: Work

    def drain(email: str, tried: int) -> Step:
        if work.relay.busy == 2:
            work.delivery.drain()
        return OK

    async with at_work(ledgers, ScriptedRelay(drain)) as work:
        await work.once(campaign)
        status = await checked(ledgers, campaign)
        assert (status.totals.sent, status.totals.queued) == (2, 8)
        await work.once(campaign)
        assert work.relay.tried.total() == 2
    # Somebody else has them at once.
    assert await ledgers.jobs.waiting() == 2


async def test_a_worker_drained_while_it_claims_begins_nothing(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts(range(1, 11)))
    for turns in range(1, 30):
        async with at_work(ledgers, ScriptedRelay(), connections=1) as work:
            working = asyncio.create_task(work.delivery.work(campaign.id, 0))
            for _ in range(turns):
                await asyncio.sleep(0)
            begun = work.relay.tried.total()
            work.delivery.drain()
            await working
        assert work.relay.tried.total() == begun
        if begun:
            break
    await checked(ledgers, campaign)


@pytest.mark.parametrize(
    ("phase", "state"),
    [
        (Phase.RCPT, State.QUEUED),
        (Phase.DATA, State.QUEUED),
        (Phase.BODY, State.IN_DOUBT),
        (Phase.DOT, State.IN_DOUBT),
    ],
)
async def test_cancelled_in_the_body_is_in_doubt_and_before_it_queued(
    ledgers: Ledgers, phase: Phase, state: State
) -> None:
    campaign = await running(ledgers, drafts([1, 2, 3]))
    async with at_work(ledgers, ScriptedRelay(lambda *_: Hangs(phase)), connections=1) as work:
        working = asyncio.create_task(work.delivery.work(campaign.id, 0))
        await work.relay.hanging.wait()
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
    assert await states(ledgers, campaign) == [state.value, "queued", "queued"]
    assert {record.attempts for record in (await records(ledgers, campaign))[1:]} == {0}
    await checked(ledgers, campaign)


async def test_who_is_cancelled_after_a_cut_is_queued_and_not_deferred(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    relay = ScriptedRelay(lambda email, tried: cut(Phase.DATA) if tried == 1 else Hangs(Phase.DATA))
    async with at_work(ledgers, relay) as work:
        working = asyncio.create_task(work.delivery.work(campaign.id, 0))
        await relay.hanging.wait()
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
    (record,) = await records(ledgers, campaign)
    assert (record.state, record.attempts) == (State.QUEUED, 0)


async def test_cancelled_at_any_moment_nobody_is_lost_and_nobody_is_sent_to_twice(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts(range(1, 91)))
    relay = ScriptedRelay()
    for phase, nth in itertools.product((Phase.RCPT, Phase.DATA, Phase.BODY, Phase.DOT), (1, 2, 3, 4, 5)):
        async with at_work(ledgers, relay) as work:
            working = asyncio.create_task(work.delivery.work(campaign.id, 0))
            relay.when(phase, nth, working.cancel)
            with pytest.raises(asyncio.CancelledError):
                await working
        status = await checked(ledgers, campaign)
        assert status.totals.claimed == status.totals.sending == 0
    async with at_work(ledgers, relay) as work:
        await work.once(campaign)
    status = await checked(ledgers, campaign)
    assert status.state is CampaignState.FINISHED
    assert set(relay.taken.values()) == {1}
    assert status.totals.in_doubt > 0
    assert status.totals.sent <= len(relay.taken) <= status.totals.sent + status.totals.in_doubt


@pytest.mark.parametrize(
    ("phase", "state"),
    [("rcpt", State.DEFERRED), ("data", State.DEFERRED), ("body", State.IN_DOUBT), ("dot", State.IN_DOUBT)],
)
async def test_a_bug_while_sending_loses_nobody_and_is_told(ledgers: Ledgers, phase: str, state: State) -> None:
    campaign = await running(ledgers, drafts([1, 2, 3]))
    relay = ScriptedRelay(lambda email, tried: RuntimeError(f"bug in {phase}") if email == "r1@x1.test" else OK)
    async with at_work(ledgers, relay, connections=1) as work:
        with structlog.testing.capture_logs() as logs:
            await work.once(campaign)
    assert await states(ledgers, campaign) == [state.value, "sent", "sent"]
    assert "transmission failed" in [line["event"] for line in logs]
    assert relay.opened == 2


async def test_a_session_without_an_answer_for_somebody_leaves_him_in_doubt(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    async with at_work(ledgers, ScriptedRelay(tells_no_answers=True)) as work:
        await work.once(campaign)
    assert await states(ledgers, campaign) == ["in_doubt"]


async def test_without_a_password_the_campaign_rests_and_nobody_is_claimed(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))

    def refuse(_: Campaign) -> Route:
        raise UsageError("E113", "no password for ann at relay.test:587")

    async with hand(ledgers) as worker:
        limiter = RedisLimiter(ledgers.redis, ledgers.keys)
        await Delivery(worker.delivery, refuse, "here:1", limiter).work(campaign.id, 0)
    assert 25 < await rests_for(ledgers, campaign) <= 30
    assert await states(ledgers, campaign) == ["queued"]


async def test_a_route_that_is_down_is_tried_by_one_and_the_others_wait_for_him(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]), drafts([2]))
    async with at_work(ledgers, ScriptedRelay(lambda *_: Hangs(Phase.DATA))) as work:
        work.route.breaker = RouteBreaker(errors=5, failing_since=0.0)
        probing = asyncio.create_task(work.delivery.work(campaign.id, 0))
        await work.relay.hanging.wait()
        await work.once(campaign, 1)
        assert 0 < await rests_for(ledgers, campaign) <= 2
        assert work.relay.opened == 1
        probing.cancel()
        await asyncio.gather(probing, return_exceptions=True)


async def test_a_chunk_with_nobody_to_send_to_does_not_keep_a_route_down(ledgers: Ledgers) -> None:
    campaign, other = await running(ledgers, drafts([1])), await running(ledgers, drafts([1]))
    await ledgers.campaigns.pause(other.id, "reason", PausedBy.OPERATOR)
    async with at_work(ledgers, ScriptedRelay()) as work:
        work.route.breaker = RouteBreaker(errors=5, failing_since=0.0)
        await work.once(other)
        assert work.route.wait() == 0
        await work.once(campaign)
    assert await states(ledgers, campaign) == ["sent"]
    assert not work.route.breaker.is_open


async def test_a_route_that_fails_five_times_in_a_row_is_left_alone_for_a_while(
    ledgers: Ledgers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailer.policy.breaker.SHORTEST", 0.1)
    campaign = await running(ledgers, *(drafts([row]) for row in range(1, 8)))
    async with at_work(ledgers, ScriptedRelay(refusing=DOWN)) as work:
        for chunk in range(7):
            await work.once(campaign, chunk)
        assert work.route.breaker.is_open
        assert work.route.wait() > 0
        work.relay.refusing = None
        await until(lambda: work.route.wait() == 0, within=3)
        await work.once(campaign, 6)
        assert not work.route.breaker.is_open
    assert (await states(ledgers, campaign))[-1] == "sent"


async def test_a_pool_that_breaks_loses_nobody(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts(range(1, 8)))
    async with at_work(ledgers, ScriptedRelay()) as work:
        work.relay.refusing = RuntimeError("the pool is closed")
        with pytest.raises(ExceptionGroup):
            await work.delivery.work(campaign.id, 0)
    assert await states(ledgers, campaign) == ["queued"] * 7
    assert (await checked(ledgers, campaign)).totals.queued == 7


async def test_one_who_is_paused_in_the_middle_sends_no_further_message(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts(range(1, 11)))
    begun = asyncio.Event()

    def script(email: str, tried: int) -> Step:
        begun.set()
        return OK

    async with at_work(ledgers, ScriptedRelay(script), connections=1) as work:
        working = asyncio.create_task(work.delivery.work(campaign.id, 0))
        await begun.wait()
        await ledgers.campaigns.pause(campaign.id, "stop it", PausedBy.OPERATOR)
        taken = work.relay.taken.total()
        await working
        assert work.relay.taken.total() <= taken + 1
        await checked(ledgers, campaign)
        await ledgers.campaigns.resume(campaign.id)
        await work.once(campaign)
    assert set(work.relay.taken.values()) == {1}
    assert len(work.relay.taken) == 10


async def test_one_message_that_cannot_be_read_is_failed_and_the_others_are_sent(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1, 2, 3]))
    key = ledgers.keys.base(campaign.id) + "m:0"
    frames = read_messages(await ledgers.redis.get(key) or b"")
    await ledgers.redis.set(key, write_messages(frames | {1: b"garbage"}))
    async with at_work(ledgers, ScriptedRelay()) as work:
        await work.once(campaign)
    assert await states(ledgers, campaign) == ["sent", "failed", "sent"]
    record = (await records(ledgers, campaign))[1]
    assert (record.reason, record.phase, record.attempts) == ("damaged", "build", 0)
    assert (await checked(ledgers, campaign)).state is CampaignState.FINISHED


async def test_a_route_that_goes_down_during_a_claim_is_not_tried(
    ledgers: Ledgers, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = await running(ledgers, drafts([1, 2, 3]))
    async with at_work(ledgers, ScriptedRelay()) as work:
        claim = work.hand.delivery.claim

        async def claim_while_others_fail(campaign: Campaign, chunk: int) -> Claim:
            found = await claim(campaign, chunk)
            while not work.route.breaker.is_open:
                work.route.failed()
            return found

        monkeypatch.setattr(work.hand.delivery, "claim", claim_while_others_fail)
        await work.once(campaign)
        assert (work.relay.tried.total(), work.relay.opened) == (0, 0)
        assert (await checked(ledgers, campaign)).totals.queued == 3
        assert await rests_for(ledgers, campaign) > 0
