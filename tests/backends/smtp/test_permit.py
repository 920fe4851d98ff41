"""The durable mark: asked for with the envelope, won before the first byte of the body."""

import asyncio
from collections.abc import Awaitable

import pytest

from mailer.interfaces.session import PermitUnavailableError
from mailer.policy.dot_stuffing import dot_stuff
from mailer.vocabulary.envelope import Envelope
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.transmission import Answered, Interrupted, Withheld
from tests.backends.smtp.sending import BAD, CONTENT, GOOD, SENDER, Connect, Permit, send
from tests.relays.scripted import ScriptedRelay

ENVELOPE = Envelope(SENDER, (GOOD,))
DATA = dot_stuff(CONTENT)


class SlowPermit:
    """A permit that is given when the test says so."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def __call__(self) -> Awaitable[bool]:
        return self.answer


async def test_the_body_waits_for_the_mark_and_the_envelope_does_not(relay: ScriptedRelay, connect: Connect) -> None:
    session = await connect(relay)
    permit = SlowPermit()
    sending = asyncio.create_task(session.transmit(ENVELOPE, DATA, permit))
    await relay.seen("DATA" if relay.offers_pipelining else "RCPT")
    assert relay.deliveries == []
    assert not session.phase.may_have_delivered
    permit.answer.set_result(True)
    assert (await sending).refused == {}
    assert len(relay.deliveries) == 1


@pytest.mark.parametrize(
    ("answer", "cause"), [(False, "sending mark refused"), (PermitUnavailableError(), "ledger unavailable")]
)
async def test_without_the_mark_no_body_leaves(
    relay: ScriptedRelay, connect: Connect, answer: bool | Exception, cause: str
) -> None:
    session = await connect(relay)
    transmission = await session.transmit(ENVELOPE, DATA, Permit(answer))
    assert transmission.answers == {GOOD: Withheld(cause)}
    # With DATA under way there is no way back but to hang up: RSET would be read as text.
    assert session.is_reusable is not relay.offers_pipelining
    await session.close()
    assert "BODY" not in relay.verbs()
    assert ("RSET" in relay.verbs()) is not relay.offers_pipelining


async def test_a_permit_that_refuses_to_be_asked_is_unavailable(relay: ScriptedRelay, connect: Connect) -> None:
    def permit() -> Awaitable[bool]:
        raise PermitUnavailableError

    transmission = await (await connect(relay)).transmit(ENVELOPE, DATA, permit)
    assert transmission.answers == {GOOD: Withheld("ledger unavailable")}


async def test_the_relays_refusal_stands_beside_a_refused_mark(relay: ScriptedRelay, connect: Connect) -> None:
    relay.refuses_recipient(BAD)
    session = await connect(relay)
    transmission = await session.transmit(Envelope(SENDER, (BAD, GOOD)), DATA, Permit(False))
    assert isinstance(transmission.answers[BAD], Answered)
    assert isinstance(transmission.answers[GOOD], Withheld)


@pytest.mark.parametrize("answer", [True, False, PermitUnavailableError()])
async def test_the_mark_is_asked_for_once_even_where_nobody_is_accepted(
    relay: ScriptedRelay, connect: Connect, answer: bool | Exception
) -> None:
    relay.refuses_every_recipient()
    permit = Permit(answer)
    transmission = await (await connect(relay)).transmit(ENVELOPE, DATA, permit)
    assert isinstance(transmission.answers[GOOD], Answered)
    assert permit.asked == 1


async def test_no_mark_is_under_way_any_more_when_the_answer_is_given(relay: ScriptedRelay, connect: Connect) -> None:
    relay.drops_at("MAIL")
    session = await connect(relay)
    permit = SlowPermit()
    sending = asyncio.create_task(session.transmit(ENVELOPE, DATA, permit))
    await session.ended()
    assert not sending.done()
    permit.answer.set_result(True)
    answer = (await sending).answers[GOOD]
    assert answer == Interrupted(Phase.MAIL, "connection closed by the relay", False)


async def test_a_cut_while_the_mark_is_awaited_is_one_before_the_body(relay: ScriptedRelay, connect: Connect) -> None:
    session = await connect(relay)
    permit = SlowPermit()
    sending = asyncio.create_task(session.transmit(ENVELOPE, DATA, permit))
    await relay.seen("DATA" if relay.offers_pipelining else "RCPT")
    relay.hang_up()
    await session.ended()
    permit.answer.set_result(True)
    answer = (await sending).answers[GOOD]
    assert isinstance(answer, Interrupted)
    assert not answer.body_begun


async def test_an_unruly_permit_closes_the_connection(relay: ScriptedRelay, connect: Connect) -> None:
    session = await connect(relay)
    with pytest.raises(ZeroDivisionError):
        await session.transmit(ENVELOPE, DATA, Permit(ZeroDivisionError()))
    assert not session.is_reusable
    assert "BODY" not in relay.verbs()


async def test_nothing_is_asked_for_what_cannot_be_sent(relay: ScriptedRelay, connect: Connect) -> None:
    permit = Permit()
    session = await connect(relay)
    await session.transmit(Envelope(SENDER, ("a b@x.test",)), DATA, permit)
    assert permit.asked == 0
    assert (await send(session)).refused == {}
