"""Copies: one message goes to all its recipients in one transaction, and each of them has a record of his own."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from mailer.backends.redis.ledgers import Ledgers
from mailer.backends.redis.limiter import RedisLimiter
from mailer.backends.smtp.pool import SmtpPool
from mailer.flow.copies import accepted_before, in_copies
from mailer.flow.delivery import Delivery
from mailer.flow.run import Route
from mailer.interfaces.session import Session
from mailer.vocabulary.campaign import Campaign, CampaignState
from mailer.vocabulary.chunk import Claimed, Draft
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.recipient import State
from mailer.vocabulary.settings import DeliverySettings, SmtpSettings
from mailer.vocabulary.transmission import Answer, Unsendable, Withheld
from mailer.vocabulary.verdict import Reason
from tests.flow.relay import OK, says
from tests.ledger.campaigns import checked, message, records, running
from tests.ledger.hands import hand
from tests.relays.script import Misbehaviour
from tests.relays.scripted import ScriptedRelay

ANN, BOB, CAT, DAN = "ann@x.test", "bob@x.test", "cat@x.test", "dan@x.test"
SETTINGS = SmtpSettings(max_connections=1, local_hostname="client.test", command_timeout=5, reply_timeout=5)


@pytest.fixture(params=[True, False], ids=["pipelined", "command by command"])
async def relay(request: pytest.FixtureRequest) -> AsyncIterator["Relay"]:
    async with Relay(pipelining=request.param) as relay:
        yield relay


class Relay(ScriptedRelay):
    """Hangs up when it hears an address that it cannot bear."""

    unbearable: str | None = None

    def told(self, at: str, argument: str) -> Misbehaviour | None:
        if at == "RCPT" and self.unbearable is not None and f"<{self.unbearable}>" in argument:
            return Misbehaviour(at, b"", closes=True)
        return super().told(at, argument)

    @property
    def taken(self) -> list[tuple[str, ...]]:
        """The recipients of each message it took."""
        return [delivery.recipients for delivery in self.deliveries]

    def heard_of(self, email: str) -> int:
        """How often this recipient was said to it."""
        return sum(event.verb == "RCPT" and f"<{email}>" in event.argument for event in self.events)


@dataclass
class Pool:
    """A pool that lets something happen between the claim and the first message."""

    pool: SmtpPool
    before: Callable[[], Awaitable[object]] | None = None

    @asynccontextmanager
    async def session(self, borrower: str) -> AsyncIterator[Session]:
        before, self.before = self.before, None
        if before is not None:
            await before()
        async with self.pool.session(borrower) as session:
            yield session

    def is_wanted(self, borrower: str, since: float) -> bool:
        return self.pool.is_wanted(borrower, since)

    async def close(self) -> None:
        await self.pool.close()


def row(number: int, *emails: str) -> list[Draft]:
    """The drafts of one row: the first recipient, and copies."""
    content = message(number)
    return [Draft(row=number, email=email, content=content, by_row=place > 0) for place, email in enumerate(emails)]


@asynccontextmanager
async def at_work(
    ledgers: Ledgers, relay: ScriptedRelay, before: Callable[[], Awaitable[object]] | None = None
) -> AsyncIterator[Delivery]:
    pool = Pool(SmtpPool(relay.route(), None, SETTINGS), before)
    route = Route(pool, SETTINGS.max_connections, "relay.test:587")
    async with hand(ledgers) as worker:
        limiter = RedisLimiter(ledgers.redis, ledgers.keys)
        yield Delivery(worker.delivery, lambda campaign: route, "here:1", limiter)
    await pool.close()


async def worked(ledgers: Ledgers, relay: ScriptedRelay, drafts: Iterable[Draft]) -> Campaign:
    """A campaign of one chunk that has been worked once."""
    campaign = await running(ledgers, list(drafts))
    async with at_work(ledgers, relay) as delivery:
        await delivery.work(campaign.id, 0)
    await checked(ledgers, campaign)
    return campaign


async def ends(ledgers: Ledgers, campaign: Campaign) -> dict[str, tuple[State, int]]:
    """State and attempts of everybody."""
    return {record.email: (record.state, record.attempts) for record in await records(ledgers, campaign)}


async def test_the_copies_of_a_row_are_one_message_and_rows_are_several(ledgers: Ledgers, relay: Relay) -> None:
    campaign = await worked(ledgers, relay, [*row(1, ANN, BOB, CAT), *row(2, DAN), *row(3, BOB, CAT)])
    assert relay.taken == [(ANN, BOB, CAT), (DAN,), (BOB, CAT)]
    assert [delivery.content for delivery in relay.deliveries] == [message(1), message(2), message(3)]
    everybody = await records(ledgers, campaign)
    assert [record.email for record in everybody] == [ANN, BOB, CAT, DAN, BOB, CAT]
    assert {(record.state, record.attempts) for record in everybody} == {(State.SENT, 1)}
    assert relay.connections == 1


async def test_whoever_is_refused_is_refused_alone(ledgers: Ledgers, relay: Relay) -> None:
    relay.refuses_recipient(BOB)
    relay.answers("RCPT", b"451 4.7.1 greylisted\r\n", when=f"<{CAT}>")
    campaign = await worked(ledgers, relay, row(1, ANN, BOB, CAT, DAN))
    assert relay.taken == [(ANN, DAN)]
    assert await ends(ledgers, campaign) == {
        ANN: (State.SENT, 1),
        BOB: (State.REFUSED, 1),
        CAT: (State.DEFERRED, 1),
        DAN: (State.SENT, 1),
    }


async def test_too_many_recipients_are_split_at_once_and_nobody_has_it_twice(ledgers: Ledgers, relay: Relay) -> None:
    for late in (CAT, DAN):
        relay.answers("RCPT", b"452 4.5.3 too many recipients\r\n", when=f"<{late}>", times=1)
    campaign = await worked(ledgers, relay, row(1, ANN, BOB, CAT, DAN))
    assert relay.taken == [(ANN, BOB), (CAT, DAN)]
    assert set((await ends(ledgers, campaign)).values()) == {(State.SENT, 1)}
    assert (await checked(ledgers, campaign)).state is CampaignState.FINISHED


async def test_too_many_already_with_the_first_recipient_is_not_split_for_ever(ledgers: Ledgers, relay: Relay) -> None:
    relay.answers("RCPT", b"452 4.5.3 too many recipients\r\n")
    campaign = await worked(ledgers, relay, row(1, ANN, BOB))
    assert not relay.taken
    assert set((await ends(ledgers, campaign)).values()) == {(State.DEFERRED, 0)}


async def test_whoever_is_suppressed_meanwhile_is_left_out_and_the_others_have_it(
    ledgers: Ledgers, relay: Relay
) -> None:
    campaign = await running(ledgers, row(1, ANN, BOB, CAT))

    async def suppress() -> None:
        await ledgers.suppression.add(BOB, "asked for it")

    async with at_work(ledgers, relay, suppress) as delivery:
        await delivery.work(campaign.id, 0)
        assert relay.taken == [(ANN, CAT)]
        # At once, not after a rest: the next look at the chunk finds him on the list.
        assert await ledgers.jobs.waiting() == 2
        await delivery.work(campaign.id, 0)
    assert await ends(ledgers, campaign) == {ANN: (State.SENT, 1), BOB: (State.SUPPRESSED, 0), CAT: (State.SENT, 1)}
    assert relay.taken == [(ANN, CAT)]


async def test_a_campaign_paused_meanwhile_sends_no_copy(ledgers: Ledgers, relay: Relay) -> None:
    campaign = await running(ledgers, [*row(1, ANN, BOB), *row(2, CAT)])

    async def pause() -> None:
        await ledgers.control.pause(campaign.id, "wait")

    async with at_work(ledgers, relay, pause) as delivery:
        await delivery.work(campaign.id, 0)
    assert not relay.taken
    assert set((await ends(ledgers, campaign)).values()) == {(State.QUEUED, 0)}


async def test_whoever_makes_the_server_hang_up_is_deferred_and_the_others_have_it(
    ledgers: Ledgers, relay: Relay
) -> None:
    relay.unbearable = BOB
    campaign = await worked(ledgers, relay, [*row(1, ANN, BOB, CAT), *row(2, DAN)])
    assert sorted(relay.taken) == [(ANN,), (CAT,), (DAN,)]
    assert await ends(ledgers, campaign) == {
        ANN: (State.SENT, 1),
        BOB: (State.DEFERRED, 1),
        CAT: (State.SENT, 1),
        DAN: (State.SENT, 1),
    }
    assert relay.heard_of(BOB) == 2


async def test_a_connection_lost_after_the_message_leaves_all_copies_in_doubt(ledgers: Ledgers, relay: Relay) -> None:
    relay.refuses_recipient(CAT)
    relay.drops_at("DOT", times=1)
    campaign = await worked(ledgers, relay, [*row(1, ANN, BOB, CAT), *row(2, DAN)])
    assert await ends(ledgers, campaign) == {
        ANN: (State.IN_DOUBT, 1),
        BOB: (State.IN_DOUBT, 1),
        CAT: (State.REFUSED, 1),
        DAN: (State.SENT, 1),
    }
    assert relay.heard_of(ANN) == 1


async def test_a_message_that_is_refused_counts_once_however_many_it_was_to_go_to(
    ledgers: Ledgers, relay: Relay
) -> None:
    relay.refuses_message()
    drafts = [*row(1, ANN, BOB, CAT, DAN), *row(2, ANN), *row(3, BOB), *row(4, CAT)]
    campaign = await running(ledgers, drafts, delivery=DeliverySettings(pause_after_consecutive_failures=3))
    async with at_work(ledgers, relay) as delivery:
        await delivery.work(campaign.id, 0)
    status = await checked(ledgers, campaign)
    assert (status.state, status.totals.refused, status.totals.queued) == (CampaignState.PAUSED, 6, 1)


def claimed(index: int, number: int, frame: bytes = b"x") -> Claimed:
    return Claimed(
        index=index,
        row=number,
        email=f"r{index}@x.test",
        key=f"r{index}@x.test",
        frame=frame,
        attempts=0,
        crashes=0,
        was_deferred=False,
        accepted_ms=0,
    )


def test_only_the_same_row_with_the_same_content_is_one_message() -> None:
    one, other, copy, altered = claimed(0, 1), claimed(1, 2), claimed(2, 1), claimed(3, 1, b"y")
    assert in_copies([one, other, copy, altered]) == [(one, copy), (other,), (altered,)]


def test_accepted_is_who_was_not_refused_at_rcpt() -> None:
    answers: list[Answer] = [
        OK,
        says(Phase.RCPT, "550 5.1.1 unknown"),
        Withheld("sending mark refused"),
        Unsendable(Reason.SMTPUTF8, "not ASCII"),
        says(Phase.RCPT, "452 4.5.3 too many"),
    ]
    assert accepted_before(answers) == [0, 1, 1, 2, 2]
