"""The relay says no, in full: every no is an answer, and the connection lives on where it can."""

import pytest

from mailer.vocabulary.phase import Phase
from mailer.vocabulary.reply import Reply
from mailer.vocabulary.transmission import Answered, Interrupted
from tests.backends.smtp.sending import BAD, GOOD, OTHER, Connect, send
from tests.relays.scripted import ScriptedRelay

NO_SUCH_USER = Answered(Phase.RCPT, Reply(550, "5.1.1", "no such user"))


async def test_each_recipient_has_the_answer_the_relay_gave_it(relay: ScriptedRelay, connect: Connect) -> None:
    relay.refuses_recipient(BAD)
    relay.refuses_recipient(OTHER, b"450 4.2.1 too fast\r\n")
    session = await connect(relay)
    transmission = await send(session, BAD, GOOD, OTHER)
    assert transmission.answers == {
        BAD: NO_SUCH_USER,
        GOOD: Answered(Phase.DOT, Reply(250, "2.0.0", "Ok: queued as 1")),
        OTHER: Answered(Phase.RCPT, Reply(450, "4.2.1", "too fast")),
    }
    assert transmission.refused == {BAD: (550, "5.1.1 no such user"), OTHER: (450, "4.2.1 too fast")}
    assert relay.deliveries[0].recipients == (GOOD,)
    assert "RSET" not in relay.verbs()


async def test_with_everybody_refused_no_body_leaves_and_the_transaction_is_reset(
    relay: ScriptedRelay, connect: Connect
) -> None:
    relay.refuses_every_recipient()
    session = await connect(relay)
    transmission = await send(session, BAD, OTHER)
    assert transmission.answers == {BAD: NO_SUCH_USER, OTHER: NO_SUCH_USER}
    assert session.is_reusable
    await relay.seen("RSET")
    assert "BODY" not in relay.verbs()


@pytest.mark.parametrize("relay", [True], indirect=True)
@pytest.mark.parametrize("verdict", [b"554 5.5.1 no valid recipients\r\n", b"250 2.0.0 delivered to nobody\r\n"])
async def test_a_354_that_nobody_can_use_is_answered_by_a_lone_dot(
    relay: ScriptedRelay, connect: Connect, verdict: bytes
) -> None:
    relay.refuses_every_recipient()
    relay.answers_354_regardless = True
    relay.answers("DOT", verdict)
    session = await connect(relay)
    transmission = await send(session, BAD)
    assert transmission.answers == {BAD: NO_SUCH_USER}
    assert not session.is_reusable
    assert relay.heard.endswith(b"DATA\r\n.\r\n")


@pytest.mark.parametrize("relay", [True], indirect=True)
async def test_a_lone_dot_without_an_answer_does_not_hide_the_refusal(relay: ScriptedRelay, connect: Connect) -> None:
    relay.refuses_every_recipient()
    relay.answers_354_regardless = True
    relay.hangs_at("DOT")
    session = await connect(relay, command_timeout=0.2)
    assert (await send(session, BAD)).answers == {BAD: NO_SUCH_USER}


async def test_a_hanging_rset_does_not_hide_the_refusal(relay: ScriptedRelay, connect: Connect) -> None:
    relay.refuses_recipient(BAD)
    relay.hangs_on_rset()
    session = await connect(relay, command_timeout=0.2)
    assert (await send(session, BAD)).answers == {BAD: NO_SUCH_USER}
    assert not await session.freshen()
    assert not session.is_reusable
    assert (await send(session)).answers == {GOOD: Interrupted(Phase.MAIL, "no reply within 0.2 s", False)}


async def test_a_refused_rset_closes_the_connection(relay: ScriptedRelay, connect: Connect) -> None:
    relay.refuses_recipient(BAD)
    relay.answers("RSET", b"500 5.5.1 what?\r\n")
    session = await connect(relay)
    await send(session, BAD)
    assert not await session.freshen()


async def test_a_refused_sender_is_the_answer_for_everybody(relay: ScriptedRelay, connect: Connect) -> None:
    relay.answers("MAIL", b"550 5.1.8 bad sender\r\n", times=1)
    session = await connect(relay)
    transmission = await send(session, GOOD, OTHER)
    refused = Answered(Phase.MAIL, Reply(550, "5.1.8", "bad sender"))
    assert transmission.answers == {GOOD: refused, OTHER: refused}
    assert session.is_reusable
    assert (await send(session)).refused == {}


@pytest.mark.parametrize("relay", [True], indirect=True)
async def test_a_354_behind_a_refused_sender_closes_the_connection(relay: ScriptedRelay, connect: Connect) -> None:
    relay.refuses_sender()
    relay.answers_354_regardless = True
    relay.answers("DATA", b"354 go ahead\r\n")
    session = await connect(relay)
    await send(session)
    assert not session.is_reusable
    assert relay.deliveries == []


async def test_a_refused_data_is_the_answer_for_those_accepted(relay: ScriptedRelay, connect: Connect) -> None:
    relay.refuses_recipient(BAD)
    relay.answers("DATA", b"451 4.3.0 not now\r\n", times=1)
    session = await connect(relay)
    transmission = await send(session, BAD, GOOD)
    assert transmission.answers == {BAD: NO_SUCH_USER, GOOD: Answered(Phase.DATA, Reply(451, "4.3.0", "not now"))}
    assert session.is_reusable
    assert (await send(session)).refused == {}


@pytest.mark.parametrize("code", [451, 550, 554])
async def test_a_refused_message_is_the_answer_for_those_accepted(
    relay: ScriptedRelay, connect: Connect, code: int
) -> None:
    relay.refuses_recipient(BAD)
    relay.refuses_message(b"%d no\r\n" % code, times=1)
    session = await connect(relay)
    transmission = await send(session, BAD, GOOD)
    assert transmission.answers == {BAD: NO_SUCH_USER, GOOD: Answered(Phase.DOT, Reply(code, None, "no"))}
    assert session.is_reusable
    assert (await send(session)).refused == {}


@pytest.mark.parametrize("code", [250, 251, 299])
async def test_any_2xx_to_the_dot_is_acceptance(relay: ScriptedRelay, connect: Connect, code: int) -> None:
    relay.answers("DOT", b"%d taken\r\n" % code)
    session = await connect(relay)
    assert (await send(session)).answers == {GOOD: Answered(Phase.DOT, Reply(code, None, "taken"))}
    assert session.is_reusable


@pytest.mark.parametrize("code", [251, 252])
async def test_251_and_252_accept_a_recipient(relay: ScriptedRelay, connect: Connect, code: int) -> None:
    relay.answers("RCPT", b"%d will try\r\n" % code)
    assert (await send(await connect(relay))).refused == {}
    assert relay.deliveries[0].recipients == (GOOD,)


@pytest.mark.parametrize("phase", [Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.DOT])
async def test_a_421_is_the_answer_for_everybody_left_and_the_end_of_the_connection(
    relay: ScriptedRelay, connect: Connect, phase: Phase
) -> None:
    relay.says_421_at(phase.upper())
    session = await connect(relay)
    transmission = await send(session, GOOD, OTHER)
    closing = Answered(phase, Reply(421, "4.3.2", "closing"))
    assert transmission.answers == {GOOD: closing, OTHER: closing}
    assert not session.is_reusable
    assert relay.deliveries == []


async def test_a_421_leaves_earlier_refusals_as_they_are(relay: ScriptedRelay, connect: Connect) -> None:
    relay.refuses_recipient(BAD)
    relay.says_421_at("DATA")
    transmission = await send(await connect(relay), BAD, GOOD)
    assert transmission.answers[BAD] == NO_SUCH_USER
    assert transmission.refused[GOOD] == (421, "4.3.2 closing")


@pytest.mark.parametrize("at", ["MAIL", "RCPT", "DATA"])
async def test_a_bad_sequence_of_commands_closes_the_connection(
    relay: ScriptedRelay, connect: Connect, at: str
) -> None:
    relay.answers(at, b"503 5.5.1 bad sequence\r\n")
    session = await connect(relay)
    assert (await send(session)).refused == {GOOD: (503, "5.5.1 bad sequence")}
    assert not session.is_reusable


async def test_refusals_in_a_row_use_a_connection_up(relay: ScriptedRelay, connect: Connect) -> None:
    relay.refuses_recipient(BAD)
    session = await connect(relay)
    refused = [f"{number}@x.test" for number in range(7)]
    for address in refused:
        relay.refuses_recipient(address)
    await send(session, GOOD, *refused)
    assert session.is_reusable, "a delivery begins the count anew"
    while session.is_reusable:
        await send(session, BAD)
    # Pipelined, the relay also says no to DATA.
    assert relay.verbs().count("MAIL") == 1 + (4 if relay.offers_pipelining else 8)
