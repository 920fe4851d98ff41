"""A power loss that costs the queue server its last writes: living workers put back what they remember."""

import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from importlib.resources import files

import pytest
import structlog.testing
from msgspec import structs

from mailer.backends.redis.gate import Gate
from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from mailer.backends.redis.replay import Replayer
from mailer.backends.redis.server import redis_ms
from mailer.interfaces.ledger import CampaignGoneError
from mailer.vocabulary.acts import Selection
from mailer.vocabulary.campaign import Campaign, CampaignState
from mailer.vocabulary.chunk import Claim, Claimed
from mailer.vocabulary.outcome import Outcome
from mailer.vocabulary.recipient import State
from mailer.vocabulary.settings import DeliverySettings
from tests.ledger.campaigns import (
    IN_DOUBT,
    REFUSED,
    RELEASED,
    SENT,
    deferred,
    drafts,
    proposal,
    records,
    running,
    states,
    work_off,
)
from tests.ledger.hands import Hand, hand, reconciler
from tests.ledger.test_doubt import history, steps
from tests.operator.recount import sound
from tests.redis_faults.servers import FaultyServer

LEASE_S = 10
PRELUDE = files("mailer.backends.redis.scripts").joinpath("prelude.lua").read_text(encoding="utf-8")


@dataclass
class Sender:
    """A worker that sends to a relay which takes everything; `undecided` are those it is amid the body of."""

    hand: Hand
    replayer: Replayer
    gate: Gate
    rng: random.Random
    accepted: Counter[int]
    claims: list[tuple[Claim, list[Claimed]]] = field(default_factory=list)
    undecided: list[tuple[Claim, Claimed]] = field(default_factory=list)

    async def step(self, campaign: Campaign, chunks: int) -> None:
        """Do one thing that a worker does."""
        self.claims = [(claim, waiting) for claim, waiting in self.claims if waiting or not await self._over(claim)]
        kind = self.rng.choice(["claim", "mark", "mark", "mark", "end", "end", "release"])
        if kind == "claim" and len(self.claims) < 2:
            claim = await self.hand.claim(campaign, self.rng.randrange(chunks))
            self.claims.append((claim, list(claim.recipients)))
        elif kind == "end" and self.undecided:
            await self.decide(*self.undecided.pop(self.rng.randrange(len(self.undecided))))
        elif (begun := [entry for entry in self.claims if entry[1]]) and kind in ("mark", "release"):
            claim, waiting = self.rng.choice(begun)
            recipient = waiting.pop()
            if kind == "release":
                self.hand.delivery.record(claim, recipient, RELEASED)
            elif await self.hand.mark(claim, recipient):
                self.undecided.append((claim, recipient))

    async def decide(self, claim: Claim, recipient: Claimed) -> None:
        """The relay answers."""
        outcome = self.rng.choice([SENT, SENT, SENT, REFUSED, deferred(await redis_ms(self.hand.ledgers.redis))])
        self.accepted[recipient.row] += outcome is SENT
        self.hand.delivery.record(claim, recipient, outcome)
        if self.rng.random() < 0.7:
            await self.hand.written(claim)

    async def _over(self, claim: Claim) -> bool:
        if any(claim.token == other.token for other, _ in self.undecided):
            return False
        await self.hand.delivery.end_run(claim)
        return True

    async def finish(self) -> None:
        """Bring everything in hand to its end."""
        for claim, recipient in self.undecided:
            await self.decide(claim, recipient)
        for claim, waiting in self.claims:
            for recipient in waiting:
                self.hand.delivery.record(claim, recipient, RELEASED)
            await self.hand.delivery.end_run(claim)


def replayer_of(ledgers: Ledgers, worker: Hand) -> Replayer:
    return Replayer(ledgers.campaigns, worker.recorder, ledgers.jobs, worker.owner, worker.delivery.in_hand)


async def run_id(ledgers: Ledgers) -> str:
    """This start of the server, as the scripts call it."""
    found: bytes = await ledgers.redis.eval(f"{PRELUDE}\nreturn run_id()", 0)
    return found.decode()


@asynccontextmanager
async def senders(
    ledgers: Ledgers, count: int, rng: random.Random, accepted: Counter[int]
) -> AsyncIterator[list[Sender]]:
    async with AsyncExitStack() as stack:
        hands = [await stack.enter_async_context(hand(ledgers)) for _ in range(count)]
        gate = Gate(ledgers.redis, ledgers.keys, LEASE_S)
        for one in hands:
            await one.beat()
            assert await gate.announce(one.owner, await run_id(ledgers)) == 0
        yield [Sender(one, replayer_of(ledgers, one), gate, rng, accepted) for one in hands]


@pytest.mark.parametrize("seed", range(24))
async def test_nothing_that_a_living_worker_remembers_is_lost_wherever_the_file_is_cut(
    server: FaultyServer, seed: int
) -> None:
    rng = random.Random(seed)
    accepted: Counter[int] = Counter()
    async with open_ledgers(server.url, prefix="t", lease_s=LEASE_S) as ledgers:
        campaign = await running(ledgers, *(drafts(range(start, start + 8)) for start in (0, 8, 16)))
        async with senders(ledgers, 3, rng, accepted) as workers:
            first = server.written
            for _ in range(rng.randrange(10, 120)):
                await rng.choice(workers).step(campaign, 3)
            told = [row for row, count in accepted.items() if count]
            server.restart(forgetting_from=rng.randrange(first, server.written + 1))
            for worker in rng.sample(workers, 3):
                await worker.replayer.replay()
            by_row = {record.row: record for record in await records(ledgers, campaign)}
            assert not [row for row in told if by_row[row].state.value not in ("sent", "sending")]
            for worker in workers:
                assert {by_row[recipient.row].state.value for _, recipient in worker.undecided} <= {"sending"}
            await sound(ledgers, campaign)
            for worker in workers:
                await worker.finish()
            await sound(ledgers, campaign)
            base = ledgers.keys.base(campaign.id)
            assert await ledgers.redis.hkeys(base + "h") == [], "claims that nobody would give back"
            for record in await records(ledgers, campaign):
                accepted[record.row] += not record.state.is_final
            await work_off(ledgers, campaign)
            status = await sound(ledgers, campaign)
            assert status.state is CampaignState.FINISHED
            for record in await records(ledgers, campaign):
                assert accepted[record.row] == (record.state.value == "sent"), record


async def test_nobody_claims_before_all_that_live_have_put_back_what_they_remember(server: FaultyServer) -> None:
    async with open_ledgers(server.url, prefix="t", lease_s=1) as ledgers:
        await running(ledgers, drafts(range(4)))
        gate = Gate(ledgers.redis, ledgers.keys, 1)
        async with hand(ledgers) as one, hand(ledgers) as other:
            for worker in (one, other):
                await worker.beat()
            assert await gate.announce(one.owner, await run_id(ledgers)) == 0
            before = await run_id(ledgers)
            server.restart()
            run = await run_id(ledgers)
            assert await gate.announce(one.owner, before) == -2, "what was done for another start counts for nothing"
            assert await gate.announce(one.owner, run) == 1
            assert await gate.announce(one.owner, run) == 1
            assert await gate.announce(other.owner, run) in (-1, 0)


async def test_whom_an_emptied_ledger_does_not_know_puts_nothing_into_it(server: FaultyServer) -> None:
    """Between two beats it may be gone: the gate would be the first thing in a void."""
    async with open_ledgers(server.url, prefix="t", lease_s=1) as ledgers:
        await running(ledgers, drafts([1]))
        gate = Gate(ledgers.redis, ledgers.keys, 1)
        async with hand(ledgers) as one:
            await one.beat()
            run = await run_id(ledgers)
            server.say("FLUSHALL")
            assert await gate.announce(one.owner, run) == -2
            assert server.say("KEYS", "*") == []


async def test_a_worker_that_died_is_waited_for_as_long_as_its_lease(server: FaultyServer) -> None:
    async with open_ledgers(server.url, prefix="t", lease_s=0.5) as ledgers:
        await running(ledgers, drafts([1]))
        gate = Gate(ledgers.redis, ledgers.keys, 0.5)
        async with hand(ledgers) as one, hand(ledgers) as dead:
            await one.beat()
            await dead.beat()
            assert await gate.announce(one.owner, await run_id(ledgers)) == 0
            server.restart()
            run = await run_id(ledgers)
            began = await redis_ms(ledgers.redis)
            while await gate.announce(one.owner, run):
                await one.beat()
            assert 450 <= await redis_ms(ledgers.redis) - began <= 3000


async def test_what_was_said_before_is_not_written_twice(server: FaultyServer) -> None:
    async with open_ledgers(server.url, prefix="t", lease_s=10) as ledgers:
        campaign = await running(ledgers, drafts(range(4)))
        async with hand(ledgers) as worker:
            claim = await worker.claim(campaign)
            await worker.record(claim, claim.recipients[0], SENT)
            await worker.record(claim, claim.recipients[1], REFUSED)
            assert await worker.mark(claim, claim.recipients[2])
            server.restart()
            before = await records(ledgers, campaign)
            assert await replayer_of(ledgers, worker).replay() == 0
            assert await records(ledgers, campaign) == before
            await sound(ledgers, campaign)


@pytest.mark.parametrize("forgotten", ["the end", "an outcome", "the marks", "the claim"])
async def test_a_claim_that_has_ended_is_put_back_like_one_in_hand(server: FaultyServer, forgotten: str) -> None:
    async with open_ledgers(server.url, prefix="t", lease_s=10) as ledgers:
        campaign = await running(ledgers, drafts(range(1, 6)))
        moments = {"the claim": server.written}
        async with hand(ledgers) as worker:
            claim = await worker.claim(campaign)
            moments["the marks"] = server.written
            due = deferred(await redis_ms(ledgers.redis) + 60_000)
            listed = structs.replace(REFUSED, suppress=True)
            for recipient in claim.recipients:
                assert await worker.mark(claim, recipient)
            for recipient, outcome in zip(claim.recipients, (SENT, listed, due, IN_DOUBT, RELEASED), strict=True):
                moments["an outcome"] = server.written
                await worker.record(claim, recipient, outcome)
            moments["the end"] = server.written
            await worker.delivery.end_run(claim)
            before = await records(ledgers, campaign)
            server.restart(forgetting_from=moments[forgotten])
            await replayer_of(ledgers, worker).replay()
            assert await records(ledgers, campaign) == before
            assert len(await ledgers.suppression.entries()) == 1
            await sound(ledgers, campaign)
            assert await ledgers.redis.hkeys(ledgers.keys.base(campaign.id) + "h") == []


async def test_a_claim_made_in_the_belief_that_the_sender_was_dead_loses_to_what_he_sent(server: FaultyServer) -> None:
    async with open_ledgers(server.url, prefix="t", lease_s=10) as ledgers:
        campaign = await running(ledgers, drafts([1]))
        empty = server.written
        async with hand(ledgers) as late, hand(ledgers) as other:
            claim = await late.claim(campaign)
            assert await late.mark(claim, claim.recipients[0])
            await late.record(claim, claim.recipients[0], SENT)
            server.restart(forgetting_from=empty)
            second = await other.claim(campaign)
            assert len(second.recipients) == 1
            await replayer_of(ledgers, late).replay()
            assert await states(ledgers, campaign) == ["sent"]
            assert not await other.mark(second, second.recipients[0])
            await other.delivery.end_run(second)
        assert (await sound(ledgers, campaign)).state is CampaignState.FINISHED


async def test_a_doubt_that_was_forgotten_is_queued_again_where_the_campaign_says_so(server: FaultyServer) -> None:
    async with open_ledgers(server.url, prefix="t", lease_s=10) as ledgers:
        campaign = await running(ledgers, drafts([1]), delivery=DeliverySettings(on_doubt="resend"))
        async with hand(ledgers) as worker:
            claim = await worker.claim(campaign)
            assert await worker.mark(claim, claim.recipients[0])
            marked = server.written
            await worker.record(claim, claim.recipients[0], IN_DOUBT)
            assert await states(ledgers, campaign) == ["queued"]
            server.restart(forgetting_from=marked)
            assert await states(ledgers, campaign) == ["sending"]
            assert await replayer_of(ledgers, worker).replay() == 1
            assert steps(await history(ledgers, campaign)) == [("I", "interrupted"), ("q", "resent")]
            await worker.delivery.end_run(claim)
        await work_off(ledgers, campaign)
        assert (await sound(ledgers, campaign)).totals.sent == 1


@pytest.mark.parametrize("outcome", [SENT, IN_DOUBT], ids=["accepted", "on the wire"])
async def test_of_a_second_chance_that_was_forgotten_the_reply_counts(server: FaultyServer, outcome: Outcome) -> None:
    """A later claim proves that the first doubt was not the last word, whoever decided that."""
    async with open_ledgers(server.url, prefix="t", lease_s=10) as ledgers:
        campaign = await running(ledgers, drafts([1]), delivery=DeliverySettings(on_doubt="hold"))
        async with hand(ledgers) as worker:
            first = await worker.claim(campaign)
            assert await worker.mark(first, first.recipients[0])
            await worker.record(first, first.recipients[0], IN_DOUBT)
            doubted = server.written
            everybody = Selection(states=frozenset({State.IN_DOUBT}))
            assert (await ledgers.control.retry(campaign.id, everybody)).recipients == 1
            second = await worker.claim(campaign)
            assert await worker.mark(second, second.recipients[0])
            if outcome is SENT:
                await worker.record(second, second.recipients[0], SENT)
            server.restart(forgetting_from=doubted)
            assert await states(ledgers, campaign) == ["in_doubt"]
            await replayer_of(ledgers, worker).replay()
            if outcome is not SENT:
                assert await states(ledgers, campaign) == ["sending"]
                await worker.record(second, second.recipients[0], SENT)
            assert steps(await history(ledgers, campaign)) == [("I", "interrupted"), ("q", "resent"), ("S", None)]
            await worker.delivery.end_run(second)
            await worker.delivery.end_run(first)
        await sound(ledgers, campaign)


async def test_what_is_planted_among_the_claims_keeps_nobody_from_putting_back(server: FaultyServer) -> None:
    async with open_ledgers(server.url, prefix="t", lease_s=10) as ledgers:
        campaign = await running(ledgers, drafts([1]))
        empty = server.written
        async with hand(ledgers) as worker:
            claim = await worker.claim(campaign)
            await worker.record(claim, claim.recipients[0], SENT)
            server.restart(forgetting_from=empty)
            await ledgers.redis.sadd(ledgers.keys.live, "planted", b"\xff")
            await ledgers.redis.set(ledgers.keys.base("planted") + "h", "garbage")
            assert await replayer_of(ledgers, worker).replay() == 1
            assert await states(ledgers, campaign) == ["sent"]


@pytest.mark.parametrize("is_over", [False, True], ids=["in hand", "ended"])
async def test_what_has_no_place_any_more_is_told(server: FaultyServer, is_over: bool) -> None:
    async with open_ledgers(server.url, prefix="t", lease_s=10) as ledgers:
        campaign = await running(ledgers, drafts([1]), key="k")
        empty = server.written
        assert not await ledgers.intake.accept(campaign, drafts([2]))
        async with hand(ledgers) as worker:
            claim = await worker.claim(campaign, 1)
            await worker.record(claim, claim.recipients[0], SENT)
            if is_over:
                await worker.delivery.end_run(claim)
            server.restart(forgetting_from=empty)
            with structlog.testing.capture_logs() as logs:
                for _ in range(2):
                    await replayer_of(ledgers, worker).replay()
        lines = [line for line in logs if line["event"] == "not recorded"]
        assert [(line["chunk"], line["index"], line["state"], line["code"]) for line in lines] == [(1, 0, "sent", 250)]
        await sound(ledgers, campaign)


@pytest.mark.parametrize("planted", [["SET", "a:0", "garbage"], ["SET", "s:0", "garbage"], ["HSET", "s:0", "0", "c"]])
async def test_garbage_in_one_chunk_does_not_keep_the_others_from_being_put_back(
    server: FaultyServer, planted: list[str]
) -> None:
    async with open_ledgers(server.url, prefix="t", lease_s=10) as ledgers:
        campaign = await running(ledgers, drafts([1]), drafts([2]))
        empty = server.written
        async with hand(ledgers) as worker:
            for chunk in (0, 1):
                claim = await worker.claim(campaign, chunk)
                assert await worker.mark(claim, claim.recipients[0])
                await worker.record(claim, claim.recipients[0], SENT)
            server.restart(forgetting_from=empty)
            command, key, *words = planted
            server.say(command, ledgers.keys.base(campaign.id) + key, *words)
            with structlog.testing.capture_logs() as logs:
                assert await replayer_of(ledgers, worker).replay() == 1
        assert [line["chunk"] for line in logs if line["event"] == "not recorded"] == [0]
        assert (await ledgers.redis.hget(ledgers.keys.base(campaign.id) + "s:1", "0") or b"")[:1] == b"S"


async def test_a_rolled_back_draft_with_messages_that_went_out_is_not_dropped(server: FaultyServer) -> None:
    async with open_ledgers(server.url, prefix="t", lease_s=10) as ledgers:
        campaign = await ledgers.intake.open(proposal())
        assert not await ledgers.intake.accept(campaign, drafts([1, 2]))
        draft = server.written
        await ledgers.intake.seal(campaign, "run", invalid=0, duplicate=0, complete=True)
        async with hand(ledgers) as worker:
            claim = await worker.claim(campaign)
            await worker.record(claim, claim.recipients[0], SENT)
            server.restart(forgetting_from=draft)
            await replayer_of(ledgers, worker).replay()
            await ledgers.intake.drop(campaign)
            assert (await sound(ledgers, campaign)).totals.sent == 1
            assert await ledgers.intake.seal(campaign, "again", invalid=0, duplicate=0, complete=True)
        await reconciler(ledgers).take_over()
        await work_off(ledgers, campaign)
        assert (await sound(ledgers, campaign)).totals.sent == 2


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_producer_whose_recipients_were_forgotten_does_not_end_as_if_they_were_there(
    server: FaultyServer, streamed: bool
) -> None:
    async with open_ledgers(server.url, prefix="t", lease_s=10) as ledgers:
        campaign = await ledgers.intake.open(proposal(key="k"))
        assert not await ledgers.intake.accept(campaign, drafts([1, 2]))
        if streamed:
            await ledgers.intake.seal(campaign, "run", invalid=0, duplicate=0, complete=False)
        some = server.written
        assert not await ledgers.intake.accept(campaign, drafts([3, 4]))
        server.restart(forgetting_from=some)
        assert not await ledgers.intake.accept(campaign, drafts([5, 6]))

        async def end() -> None:
            if streamed:
                await ledgers.intake.complete(campaign, "run", invalid=0, duplicate=0)
            else:
                await ledgers.intake.seal(campaign, "run", invalid=0, duplicate=0, complete=True)

        with pytest.raises(CampaignGoneError) as caught:
            await end()
        assert caught.value.retryable
        # As whoever runs it again does: what is there is found, what is lacking is stored.
        assert await ledgers.intake.open(proposal(key="k")) == campaign
        for rows, present in (([1, 2], {0, 1}), ([3, 4], set()), ([5, 6], {0, 1})):
            assert await ledgers.intake.accept(campaign, drafts(rows)) == present
        await end()
        await work_off(ledgers, campaign)
        assert (await sound(ledgers, campaign)).totals.sent == 6
