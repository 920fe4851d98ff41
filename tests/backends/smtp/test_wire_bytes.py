"""What leaves us: nothing but the commands meant, and exactly one message."""

import pytest

from mailer.policy.dot_stuffing import dot_stuff
from mailer.vocabulary.envelope import Envelope
from mailer.vocabulary.transmission import Answered, Unsendable
from mailer.vocabulary.verdict import Reason
from tests.backends.smtp.sending import CONTENT, GOOD, SENDER, Connect, Permit, send
from tests.relays.scripted import ScriptedRelay
from tests.thorough import first

HOSTILE = [
    "",
    "a b@x.test",
    "a@x.test> SIZE=0",
    "<a@x.test>",
    "a@x.test\r\nRCPT TO:<evil@x.test>",
    '"\r\nRSET"@x.test',
    "a@x.test\0",
    "a@x.test\x7f",
    "a@x.test\t",
    "a@x.test\n",
    "a\ud800@x.test",
]


@pytest.mark.parametrize("address", first(6, HOSTILE))
async def test_an_address_that_could_end_the_command_is_never_said(
    relay: ScriptedRelay, connect: Connect, address: str
) -> None:
    session = await connect(relay)
    transmission = await send(session, address, GOOD)
    answer = transmission.answers[address]
    assert isinstance(answer, Unsendable)
    assert answer.reason is Reason.SYNTAX
    assert isinstance(transmission.answers[GOOD], Answered)
    assert relay.deliveries[0].recipients == (GOOD,)
    assert relay.verbs()[3:] == ["MAIL", "RCPT", "DATA", "BODY", "DOT"]


@pytest.mark.parametrize("sender", ["a@x.test>\r\nRSET", "\ud800@x.test"])
async def test_a_hostile_sender_is_never_said(relay: ScriptedRelay, connect: Connect, sender: str) -> None:
    session = await connect(relay)
    transmission = await session.transmit(Envelope(sender, (GOOD,)), dot_stuff(CONTENT), Permit())
    assert isinstance(transmission.answers[GOOD], Unsendable)
    assert "MAIL" not in relay.verbs()


async def test_the_empty_reverse_path_is_one(relay: ScriptedRelay, connect: Connect) -> None:
    session = await connect(relay)
    assert (await session.transmit(Envelope("", (GOOD,)), dot_stuff(CONTENT), Permit())).refused == {}
    assert b"MAIL FROM:<> SIZE=" in relay.heard


async def test_mail_carries_only_the_parameters_that_are_needed(connect: Connect) -> None:
    async with ScriptedRelay(extensions=("8BITMIME", "SMTPUTF8")) as relay:
        session = await connect(relay)
        assert session.offers_smtputf8
        await send(session)
        await send(session, content=CONTENT + "Grüße\r\n".encode())
        await send(session, "grüße@x.test")
        assert [event.argument for event in relay.events if event.verb == "MAIL"] == [
            f"FROM:<{SENDER}> SIZE={len(CONTENT)}",
            f"FROM:<{SENDER}> SIZE={len(CONTENT) + 9} BODY=8BITMIME",
            f"FROM:<{SENDER}> SIZE={len(CONTENT)} SMTPUTF8",
        ]
        assert relay.deliveries[2].recipients == ("grüße@x.test",)


async def test_what_the_relay_cannot_carry_is_not_offered_to_it(connect: Connect) -> None:
    async with ScriptedRelay(extensions=()) as relay:
        session = await connect(relay)
        in_utf8 = await send(session, "grüße@x.test", GOOD)
        eight_bit = await send(session, content=CONTENT + "Grüße\r\n".encode())
        assert in_utf8.answers["grüße@x.test"] == Unsendable(
            Reason.SMTPUTF8, "grüße@x.test is not ASCII, and the relay does not offer SMTPUTF8"
        )
        assert isinstance(in_utf8.answers[GOOD], Answered)
        assert eight_bit.answers == {
            GOOD: Unsendable(Reason.CONTENT, "8-bit content, and the relay does not offer 8BITMIME")
        }
        assert len(relay.deliveries) == 1


SMUGGLED = b"MAIL FROM:<evil@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\nSubject: evil\r\n\r\nevil\r\n.\r\n"
END_OF_DATA = [
    first + b"." + second for first in (b"\r\n", b"\n", b"\r", b"\r\n\0") for second in (b"\r\n", b"\n", b"\r")
]


@pytest.mark.parametrize("end", first(6, END_OF_DATA))
async def test_no_end_of_data_can_be_smuggled_into_a_message(
    relay: ScriptedRelay, connect: Connect, end: bytes
) -> None:
    session = await connect(relay)
    await session.sendmail(SENDER, GOOD, CONTENT + b"before" + end + SMUGGLED)
    await session.close()
    assert len(relay.deliveries) == 1
    without_crlf = relay.heard.replace(b"\r\n", b"")
    assert b"\r" not in without_crlf
    assert b"\n" not in without_crlf
    # Even a relay that takes a bare CR or LF for the end of a line finds one end of data.
    assert relay.heard.replace(b"\r", b"").count(b"\n.\n") == 1


async def test_a_duplicate_recipient_is_said_once(relay: ScriptedRelay, connect: Connect) -> None:
    transmission = await send(await connect(relay), GOOD, GOOD)
    assert list(transmission.answers) == [GOOD]
    assert relay.deliveries[0].recipients == (GOOD,)


async def test_pipelining_can_be_switched_off(relay: ScriptedRelay, connect: Connect) -> None:
    relay.hangs_at("MAIL")
    await send(await connect(relay, pipelining="off", command_timeout=0.2))
    assert b"RCPT" not in relay.heard
