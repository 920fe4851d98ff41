"""What users of smtplib expect: a dict of refused recipients, or an exception when nobody was accepted."""

from email.message import EmailMessage

import aiosmtplib
import pytest

from tests.backends.smtp.sending import BAD, CONTENT, GOOD, OTHER, SENDER, Connect
from tests.relays.scripted import ScriptedRelay


def message() -> EmailMessage:
    message = EmailMessage()
    message["From"] = f"Sender <{SENDER}>"
    message["To"] = f"Good <{GOOD}>"
    message["Bcc"] = OTHER
    message["Subject"] = "Grüße"
    message.set_content("Grüße\n.\n")
    return message


async def test_sendmail_gives_the_refused_and_the_last_words(relay: ScriptedRelay, connect: Connect) -> None:
    relay.refuses_recipient(BAD)
    session = await connect(relay)
    refused, words = await session.sendmail(SENDER, [GOOD, BAD], CONTENT)
    assert refused == {BAD: (550, "5.1.1 no such user")}
    assert words == "2.0.0 Ok: queued as 1"


async def test_send_message_takes_the_addresses_from_the_headers_and_hides_bcc(
    relay: ScriptedRelay, connect: Connect
) -> None:
    session = await connect(relay)
    assert (await session.send_message(message()))[0] == {}
    delivery = relay.deliveries[0]
    assert (delivery.sender, delivery.recipients) == (SENDER, (GOOD, OTHER))
    assert b"Bcc" not in delivery.content
    assert OTHER.encode() not in delivery.content


async def test_send_message_takes_given_addresses_first(relay: ScriptedRelay, connect: Connect) -> None:
    session = await connect(relay)
    await session.send_message(message(), sender="bounces@client.test", recipients=BAD)
    delivery = relay.deliveries[0]
    assert (delivery.sender, delivery.recipients) == ("bounces@client.test", (BAD,))


async def test_send_message_needs_addresses(relay: ScriptedRelay, connect: Connect) -> None:
    session = await connect(relay)
    with pytest.raises(ValueError, match="no sender"):
        await session.send_message(EmailMessage())
    with pytest.raises(ValueError, match="no recipient"):
        await session.send_message(EmailMessage(), sender=SENDER)


async def test_everybody_refused(relay: ScriptedRelay, connect: Connect) -> None:
    relay.refuses_every_recipient()
    session = await connect(relay)
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refusal:
        await session.sendmail(SENDER, [BAD, OTHER], CONTENT)
    assert [(each.recipient, each.code, each.message) for each in refusal.value.recipients] == [
        (BAD, 550, "5.1.1 no such user"),
        (OTHER, 550, "5.1.1 no such user"),
    ]
    assert session.is_reusable


async def test_nobody_asked_for(relay: ScriptedRelay, connect: Connect) -> None:
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
        await (await connect(relay)).sendmail(SENDER, [], CONTENT)
    assert "MAIL" not in relay.verbs()


async def test_sender_refused(relay: ScriptedRelay, connect: Connect) -> None:
    relay.refuses_sender()
    with pytest.raises(aiosmtplib.SMTPSenderRefused) as refusal:
        await (await connect(relay)).sendmail(SENDER, GOOD, CONTENT)
    assert (refusal.value.code, refusal.value.sender) == (550, SENDER)


@pytest.mark.parametrize("at", ["DATA", "DOT"])
async def test_message_refused(relay: ScriptedRelay, connect: Connect, at: str) -> None:
    relay.answers(at, b"554 5.7.1 no\r\n")
    with pytest.raises(aiosmtplib.SMTPDataError) as refusal:
        await (await connect(relay)).sendmail(SENDER, GOOD, CONTENT)
    assert (refusal.value.code, refusal.value.message) == (554, "5.7.1 no")


async def test_connection_cut(relay: ScriptedRelay, connect: Connect) -> None:
    relay.drops_at("DOT")
    with pytest.raises(aiosmtplib.SMTPServerDisconnected, match="DOT: connection closed"):
        await (await connect(relay)).sendmail(SENDER, GOOD, CONTENT)


async def test_what_cannot_be_sent_keeps_the_message_from_everybody(relay: ScriptedRelay, connect: Connect) -> None:
    session = await connect(relay)
    with pytest.raises(ValueError, match="cannot stand in an SMTP command"):
        await session.sendmail(SENDER, [GOOD, "a b@x.test"], CONTENT)
    with pytest.raises(aiosmtplib.SMTPNotSupported):
        await session.sendmail(SENDER, [GOOD, "grüße@x.test"], CONTENT)
    assert "MAIL" not in relay.verbs()
