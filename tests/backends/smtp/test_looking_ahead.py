"""`pipelining = "full"`: the envelope of the next message goes out with the end of the one before (RFC 2920, 3.1)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from mailer.backends.smtp.pool import SmtpPool
from mailer.backends.smtp.session import SmtpSession
from mailer.policy.dot_stuffing import dot_stuff, unstuff
from mailer.vocabulary.envelope import Envelope, MailObject
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.transmission import Answered, Interrupted, Transmission, Withheld
from tests.backends.smtp.sending import BAD, CONTENT, GOOD, OTHER, SENDER, SETTINGS, Connect, Permit
from tests.relays.scripted import ScriptedRelay

FIRST = MailObject(Envelope(SENDER, (GOOD,)), dot_stuff(CONTENT))
SECOND = MailObject(Envelope(SENDER, (OTHER,)), dot_stuff(b"Subject: second\r\n\r\n.A dot first.\r\n"))


@pytest.fixture
async def relay() -> AsyncIterator[ScriptedRelay]:
    async with ScriptedRelay() as relay:
        yield relay


@pytest.fixture
async def session(relay: ScriptedRelay, connect: Connect) -> SmtpSession:
    return await connect(relay, pipelining="full")


async def send(
    session: SmtpSession, mail: MailObject, following: MailObject | None = None, permit: bool = True
) -> Transmission:
    return await session.transmit(mail.envelope, mail.data, Permit(permit), following)


async def test_the_next_envelope_is_there_before_the_next_message_is_asked_for(
    relay: ScriptedRelay, session: SmtpSession
) -> None:
    assert (await send(session, FIRST, SECOND)).refused == {}
    await relay.seen("DATA", 2)
    assert [delivery.recipients for delivery in relay.deliveries] == [(GOOD,)]
    assert (await send(session, SECOND)).refused == {}
    assert [(delivery.recipients, delivery.content) for delivery in relay.deliveries] == [
        (mail.envelope.recipients, unstuff(mail.data)) for mail in (FIRST, SECOND)
    ]
    assert relay.verbs().count("MAIL") == 2
    assert "RSET" not in relay.verbs()


async def test_a_long_row_of_messages_takes_one_connection(relay: ScriptedRelay, session: SmtpSession) -> None:
    mails = [
        MailObject(Envelope(SENDER, (f"r{number}@x.test",)), dot_stuff(b"Subject: %d\r\n\r\n" % number))
        for number in range(50)
    ]
    for mail, following in zip(mails, [*mails[1:], None], strict=True):
        assert (await send(session, mail, following)).refused == {}
    assert [delivery.content for delivery in relay.deliveries] == [unstuff(mail.data) for mail in mails]
    assert (relay.connections, relay.verbs().count("DATA")) == (1, 50)


async def test_a_refused_message_needs_no_reset_before_the_next(relay: ScriptedRelay, session: SmtpSession) -> None:
    relay.answers("DOT", b"554 5.7.1 not this one\r\n", times=1)
    first = await send(session, FIRST, SECOND)
    answer = first.answers[GOOD]
    assert isinstance(answer, Answered)
    assert (answer.phase, answer.reply.code) == (Phase.DOT, 554)
    assert session.is_reusable
    assert (await send(session, SECOND)).refused == {}
    assert [delivery.recipients for delivery in relay.deliveries] == [(OTHER,)]
    assert "RSET" not in relay.verbs()


async def test_a_recipient_refused_ahead_hears_it_when_his_turn_comes(
    relay: ScriptedRelay, session: SmtpSession
) -> None:
    relay.refuses_recipient(BAD)
    bad = MailObject(Envelope(SENDER, (BAD,)), dot_stuff(CONTENT))
    assert (await send(session, FIRST, bad)).refused == {}
    assert list((await send(session, bad)).refused) == [BAD]
    assert (await send(session, SECOND)).refused == {}
    assert [delivery.recipients for delivery in relay.deliveries] == [(GOOD,), (OTHER,)]


async def test_the_announced_message_waits_for_a_mark_of_its_own(relay: ScriptedRelay, session: SmtpSession) -> None:
    await send(session, FIRST, SECOND)
    assert (await send(session, SECOND, permit=False)).answers == {OTHER: Withheld("sending mark refused")}
    assert not session.is_reusable
    assert [delivery.recipients for delivery in relay.deliveries] == [(GOOD,)]


@pytest.mark.parametrize("reply", [b"421 4.3.2 closing\r\n", b"500 5.5.2 what\r\n", b"no reply\r\n"])
async def test_after_a_surprise_at_the_dot_nothing_else_is_said(
    relay: ScriptedRelay, session: SmtpSession, reply: bytes
) -> None:
    relay.answers("DOT", reply, times=1)
    await send(session, FIRST, SECOND)
    assert not session.is_reusable
    assert not session.owes_message
    assert relay.deliveries == []


async def test_a_cut_after_the_message_is_no_cut_of_the_one_announced(
    relay: ScriptedRelay, session: SmtpSession
) -> None:
    relay.drops_at("DOT")
    first = await send(session, FIRST, SECOND)
    answer = first.answers[GOOD]
    assert isinstance(answer, Interrupted)
    assert answer.body_begun
    assert set(first.answers) == {GOOD}
    assert not session.owes_message


async def test_a_cut_after_the_announcement_is_one_before_the_body(relay: ScriptedRelay, session: SmtpSession) -> None:
    await send(session, FIRST, SECOND)
    relay.hang_up()
    await session.ended()
    answer = (await send(session, SECOND)).answers[OTHER]
    # What the relay had said before counts; a body was never begun.
    assert isinstance(answer, Interrupted)
    assert not answer.body_begun


async def test_who_does_not_send_what_was_announced_hangs_up_without_a_word(
    relay: ScriptedRelay, session: SmtpSession
) -> None:
    await send(session, FIRST, SECOND)
    await relay.seen("DATA", 2)
    assert session.owes_message
    await session.close()
    await relay.left_by_everybody()
    # Behind a 354 a QUIT would be the text of a message.
    assert "QUIT" not in relay.verbs()
    assert [delivery.recipients for delivery in relay.deliveries] == [(GOOD,)]


async def test_another_message_than_the_one_announced_is_not_sent(relay: ScriptedRelay, session: SmtpSession) -> None:
    await send(session, FIRST, SECOND)
    third = MailObject(Envelope(SENDER, ("third@x.test",)), dot_stuff(CONTENT))
    answer = (await send(session, third)).answers["third@x.test"]
    assert isinstance(answer, Interrupted)
    assert not answer.body_begun
    assert [delivery.recipients for delivery in relay.deliveries] == [(GOOD,)]


async def test_a_pool_does_not_lend_a_session_that_owes_a_message(relay: ScriptedRelay) -> None:
    async with SmtpPool(relay.route(), None, replace(SETTINGS, pipelining="full")) as pool:
        async with pool.session() as session:
            await send(session, FIRST, SECOND)
        async with pool.session() as session:
            assert (await send(session, SECOND)).refused == {}
    assert relay.connections == 2
    assert [delivery.recipients for delivery in relay.deliveries] == [(GOOD,), (OTHER,)]


async def test_nothing_is_announced_that_the_relay_cannot_carry(relay: ScriptedRelay, session: SmtpSession) -> None:
    too_big = MailObject(SECOND.envelope, dot_stuff(b"x" * 100_000_001))
    await send(session, FIRST, too_big)
    assert not session.owes_message
    assert list((await send(session, too_big)).answers) == [OTHER]
    assert (await send(session, SECOND)).refused == {}


async def test_nothing_is_announced_where_the_connection_will_not_be_used_again(
    relay: ScriptedRelay, connect: Connect
) -> None:
    session = await connect(relay, pipelining="full", max_messages_per_connection=2)
    assert session.looks_ahead
    await send(session, FIRST, SECOND)
    assert not session.looks_ahead
    await send(session, SECOND, FIRST)
    assert not session.owes_message


@pytest.mark.parametrize(("offered", "setting"), [(True, "auto"), (True, "off"), (False, "full")])
async def test_nobody_looks_ahead_unless_both_sides_can(connect: Connect, offered: bool, setting: str) -> None:
    async with ScriptedRelay(pipelining=offered) as relay:
        session = await connect(relay, pipelining=setting)
        assert not session.looks_ahead
        await send(session, FIRST, SECOND)
        assert not session.owes_message
        assert relay.verbs().count("MAIL") == 1


async def test_who_is_stopped_while_the_next_is_announced_leaves_nothing_half_said(
    relay: ScriptedRelay, session: SmtpSession
) -> None:
    relay.hangs_at("DOT")
    sending = asyncio.create_task(send(session, FIRST, SECOND))
    await relay.seen("DOT")
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert session.phase.may_have_delivered
    assert not session.is_reusable
