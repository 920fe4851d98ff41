"""No answer, or none that can be understood: all that counts is whether the body had begun."""

import pytest

from mailer.backends.smtp import conversation
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.reply import Reply
from mailer.vocabulary.transmission import Answered, Interrupted
from tests.backends.smtp.sending import BAD, CONTENT, GOOD, OTHER, Connect, send
from tests.relays.scripted import ScriptedRelay
from tests.thorough import first, pairs

BEFORE_BODY = ["MAIL", "RCPT", "DATA"]
LARGE = CONTENT + b"0123456789\r\n" * 2_000_000


@pytest.mark.parametrize("at", BEFORE_BODY)
async def test_cut_before_the_body(relay: ScriptedRelay, connect: Connect, at: str) -> None:
    relay.drops_at(at)
    session = await connect(relay)
    transmission = await send(session, GOOD, OTHER)
    interrupted = Interrupted(Phase(at.lower()), "connection closed by the relay", False)
    assert transmission.answers == {GOOD: interrupted, OTHER: interrupted}
    assert not session.is_reusable


@pytest.mark.parametrize("at", ["BODY", "DOT"])
async def test_cut_after_the_body_has_begun(relay: ScriptedRelay, connect: Connect, at: str) -> None:
    relay.drops_at(at)
    session = await connect(relay)
    answer = (await send(session)).answers[GOOD]
    assert isinstance(answer, Interrupted)
    assert answer.phase.may_have_delivered
    assert answer.body_begun
    assert not session.is_reusable


async def test_a_refusal_read_before_the_cut_stands(relay: ScriptedRelay, connect: Connect) -> None:
    relay.refuses_recipient(BAD)
    relay.drops_at("DOT")
    transmission = await send(await connect(relay), BAD, GOOD)
    assert transmission.answers[BAD] == Answered(Phase.RCPT, Reply(550, "5.1.1", "no such user"))
    assert transmission.answers[GOOD] == Interrupted(Phase.DOT, "connection closed by the relay", True)


@pytest.mark.parametrize("at", first(1, BEFORE_BODY))
async def test_silence_before_the_body_ends_with_the_command_timeout(
    relay: ScriptedRelay, connect: Connect, at: str
) -> None:
    relay.hangs_at(at)
    session = await connect(relay, command_timeout=0.2)
    transmission = await send(session)
    assert transmission.answers == {GOOD: Interrupted(Phase(at.lower()), "no reply within 0.2 s", False)}
    assert not session.is_reusable


async def test_silence_after_the_dot_ends_with_the_reply_timeout(relay: ScriptedRelay, connect: Connect) -> None:
    relay.hangs_at("DOT")
    session = await connect(relay, reply_timeout=0.2)
    assert (await send(session)).answers == {GOOD: Interrupted(Phase.DOT, "no reply within 0.2 s", True)}
    assert not session.is_reusable


@pytest.mark.thorough
async def test_a_body_that_nobody_reads_is_cut(
    relay: ScriptedRelay, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "STALL_TIMEOUT", 0.2)
    relay.stops_reading_the_body = True
    session = await connect(relay)
    transmission = await send(session, content=LARGE)
    assert transmission.answers == {GOOD: Interrupted(Phase.BODY, "body stood still for 0.2 s", True)}


async def test_a_no_in_the_middle_of_the_body_is_the_answer(relay: ScriptedRelay, connect: Connect) -> None:
    relay.answers("BODY", b"552 5.3.4 too big\r\n")
    session = await connect(relay)
    transmission = await send(session, content=LARGE)
    assert transmission.answers == {GOOD: Answered(Phase.DOT, Reply(552, "5.3.4", "too big"))}
    assert not session.is_reusable


async def test_a_yes_in_the_middle_of_the_body_is_no_answer(relay: ScriptedRelay, connect: Connect) -> None:
    relay.answers("BODY", b"250 2.0.0 already?\r\n")
    answer = (await send(await connect(relay), content=LARGE)).answers[GOOD]
    assert isinstance(answer, Interrupted)
    assert answer.phase is Phase.BODY
    assert answer.body_begun


async def test_a_no_together_with_the_354_is_the_answer(relay: ScriptedRelay, connect: Connect) -> None:
    relay.answers("DATA", b"354 go ahead\r\n550 5.7.1 or rather not\r\n")
    session = await connect(relay)
    transmission = await send(session)
    assert transmission.answers == {GOOD: Answered(Phase.DOT, Reply(550, "5.7.1", "or rather not"))}
    assert not session.is_reusable
    assert "BODY" not in relay.verbs()


async def test_a_yes_together_with_the_354_is_a_protocol_error(relay: ScriptedRelay, connect: Connect) -> None:
    relay.answers("DATA", b"354 go ahead\r\n250 2.0.0 taken\r\n")
    answer = (await send(await connect(relay))).answers[GOOD]
    assert isinstance(answer, Interrupted)
    assert not answer.body_begun
    assert "BODY" not in relay.verbs()


MALFORMED = {
    "no code": b"OK queued\r\n",
    "code above 599": b"999 x\r\n",
    "code below 200": b"120 x\r\n",
    "two digits": b"25\r\n",
    "codes differ": b"250-first\r\n550 second\r\n",
    "endless line": b"250 " + 100_000 * b"x" + b"\r\n",
    "endless reply": 4_000 * b"250-xxxxxxxx\r\n",
    "NUL in the code": b"\x00250 ok\r\n",
}


@pytest.mark.parametrize(("at", "what"), pairs([*BEFORE_BODY, "DOT"], MALFORMED))
async def test_what_is_no_reply_ends_the_conversation(
    relay: ScriptedRelay, connect: Connect, at: str, what: str
) -> None:
    relay.answers(at, MALFORMED[what])
    session = await connect(relay)
    answer = (await send(session)).answers[GOOD]
    assert isinstance(answer, Interrupted)
    assert answer.phase is Phase(at.lower())
    assert answer.body_begun is (at == "DOT")
    assert not session.is_reusable
    assert ("BODY" in relay.verbs()) is (at == "DOT")


async def test_a_reply_cut_in_its_middle_is_none(relay: ScriptedRelay, connect: Connect) -> None:
    relay.drops_at("DOT", b"250-2.0.0 Ok\r\n250 2.0.0")
    answer = (await send(await connect(relay))).answers[GOOD]
    assert answer == Interrupted(Phase.DOT, "connection closed by the relay", True)


@pytest.mark.parametrize(
    ("at", "reply"),
    [
        ("MAIL", b"354 go ahead\r\n"),
        ("MAIL", b"214 help\r\n"),
        ("RCPT", b"354 go ahead\r\n"),
        ("RCPT", b"211 status\r\n"),
        ("DATA", b"250 ok\r\n"),
        ("DATA", b"334 go ahead\r\n"),
        ("DOT", b"354 go ahead\r\n"),
    ],
)
async def test_a_reply_the_command_cannot_have_is_a_protocol_error(
    relay: ScriptedRelay, connect: Connect, at: str, reply: bytes
) -> None:
    relay.answers(at, reply)
    session = await connect(relay)
    answer = (await send(session)).answers[GOOD]
    assert isinstance(answer, Interrupted)
    assert answer.phase is Phase(at.lower())
    assert answer.body_begun is (at == "DOT")
    assert not session.is_reusable


@pytest.mark.parametrize("at", ["MAIL", "RCPT"])
async def test_more_replies_than_commands_never_lead_to_a_body(relay: ScriptedRelay, connect: Connect, at: str) -> None:
    relay.answers(at, b"250 ok\r\n250 ok again\r\n")
    session = await connect(relay)
    answer = (await send(session)).answers[GOOD]
    assert isinstance(answer, Interrupted)
    assert not answer.body_begun
    assert not session.is_reusable


async def test_of_two_replies_to_the_dot_the_first_counts_and_the_connection_ends(
    relay: ScriptedRelay, connect: Connect
) -> None:
    relay.answers("DOT", b"250 2.0.0 taken\r\n550 5.0.0 or not\r\n")
    session = await connect(relay)
    assert (await send(session)).answers == {GOOD: Answered(Phase.DOT, Reply(250, "2.0.0", "taken"))}
    assert not session.is_reusable


@pytest.mark.parametrize("farewell", [b"", b"421 4.4.2 timeout\r\n", b"250 by the way\r\n"])
async def test_a_connection_that_ended_while_idle_is_not_used_again(
    relay: ScriptedRelay, connect: Connect, farewell: bytes
) -> None:
    session = await connect(relay)
    await send(session)
    relay.hang_up(farewell)
    await session.ended()
    assert not session.is_reusable
    answer = (await send(session)).answers[GOOD]
    assert isinstance(answer, Interrupted)
    assert (answer.phase, answer.body_begun) == (Phase.MAIL, False)
