"""Cancelled in the middle: the connection is closed, and the session knows how far it was."""

import asyncio

import pytest

from mailer.policy.dot_stuffing import dot_stuff
from mailer.vocabulary.envelope import Envelope
from mailer.vocabulary.phase import Phase
from tests.backends.smtp.sending import CONTENT, GOOD, SENDER, Connect, send
from tests.relays.scripted import ScriptedRelay


@pytest.mark.parametrize("at", ["MAIL", "RCPT", "DATA"])
async def test_cancelled_before_the_body(relay: ScriptedRelay, connect: Connect, at: str) -> None:
    relay.hangs_at(at)
    session = await connect(relay)
    sending = asyncio.create_task(send(session))
    await relay.seen(at)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert not session.phase.may_have_delivered
    assert not session.is_reusable
    await relay.left_by_everybody()
    assert b"QUIT" not in relay.heard


async def test_cancelled_after_the_dot(relay: ScriptedRelay, connect: Connect) -> None:
    relay.hangs_at("DOT")
    session = await connect(relay)
    sending = asyncio.create_task(send(session))
    await relay.seen("DOT")
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert session.phase is Phase.DOT
    assert not session.is_reusable


async def test_cancelled_in_the_body(relay: ScriptedRelay, connect: Connect) -> None:
    relay.stops_reading_the_body = True
    session = await connect(relay)
    sending = asyncio.create_task(send(session, content=CONTENT + b"0123456789\r\n" * 2_000_000))
    await relay.seen("BODY")
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert session.phase is Phase.BODY


async def test_cancelled_while_the_mark_is_awaited(relay: ScriptedRelay, connect: Connect) -> None:
    session = await connect(relay)
    mark: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    sending = asyncio.create_task(session.transmit(Envelope(SENDER, (GOOD,)), dot_stuff(CONTENT), lambda: mark))
    await relay.seen("DATA" if relay.offers_pipelining else "RCPT")
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert mark.cancelled()
    assert not session.phase.may_have_delivered
    await relay.left_by_everybody()
    assert "BODY" not in relay.verbs()


async def test_the_phase_of_an_earlier_message_is_not_mistaken_for_this_one(
    relay: ScriptedRelay, connect: Connect
) -> None:
    relay.refuses_message(times=1)
    relay.hangs_on_rset()
    session = await connect(relay)
    await send(session)
    earlier = session.phase
    sending = asyncio.create_task(send(session))
    await relay.seen("RSET")
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert (earlier, session.phase) == (Phase.DOT, Phase.MAIL)
