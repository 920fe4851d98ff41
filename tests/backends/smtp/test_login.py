"""One login, one attempt; what comes of it says who has to act."""

import aiosmtplib
import pytest

from mailer.backends.smtp.diagnosis import diagnose
from mailer.vocabulary.errors import RelayError
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.route import Route, Security
from tests.backends.smtp.sending import SETTINGS, Connect, send
from tests.relays.scripted import ScriptedRelay

USER, PASSWORD = "news@client.test", "canary-pässword"


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ("CRAM-MD5 LOGIN PLAIN", "PLAIN"),
        ("CRAM-MD5 LOGIN", "LOGIN"),
        ("XOAUTH2 CRAM-MD5", "CRAM-MD5"),
    ],
)
async def test_the_mechanism_is_chosen_once(connect: Connect, offered: str, chosen: str) -> None:
    async with ScriptedRelay(mechanisms=offered, logins={USER: PASSWORD}) as relay:
        assert (await send(await connect(relay.route(user=USER), PASSWORD))).refused == {}
        logins = [event for event in relay.events if event.verb == "AUTH"]
        assert [login.argument.split()[0] for login in logins] == [chosen]
        assert all(login.is_protected for login in logins)


async def test_without_a_user_nobody_logs_in(connect: Connect) -> None:
    async with ScriptedRelay(logins={USER: PASSWORD}) as relay:
        await connect(relay)
        assert "AUTH" not in relay.verbs()


@pytest.mark.parametrize("offered", ["XOAUTH2", "GSSAPI NTLM"])
async def test_without_a_mechanism_of_ours_nothing_is_tried(connect: Connect, offered: str) -> None:
    async with ScriptedRelay(mechanisms=offered, logins={USER: PASSWORD}) as relay:
        with pytest.raises(RelayError) as error:
            await connect(relay.route(user=USER), PASSWORD)
        assert (error.value.code, error.value.retryable) == ("E412", False)
        assert "AUTH" not in relay.verbs()


async def test_a_relay_without_logins_is_configuration_trouble(connect: Connect) -> None:
    async with ScriptedRelay() as relay:
        with pytest.raises(RelayError) as error:
            await connect(relay.route(user=USER), PASSWORD)
        assert (error.value.code, error.value.retryable) == ("E412", False)


@pytest.mark.parametrize("offered", ["PLAIN LOGIN CRAM-MD5", "LOGIN CRAM-MD5", "CRAM-MD5"])
async def test_a_wrong_password_is_tried_once(connect: Connect, offered: str) -> None:
    async with ScriptedRelay(mechanisms=offered, logins={USER: PASSWORD}) as relay:
        with pytest.raises(RelayError) as error:
            await connect(relay.route(user=USER), "wrong")
        assert (error.value.code, error.value.retryable) == ("E411", False)
        assert relay.verbs().count("AUTH") == 1


@pytest.mark.parametrize(
    ("reply", "code", "retryable"),
    [
        (b"535 5.7.8 no\r\n", "E411", False),
        (b"534 5.7.9 too weak\r\n", "E411", False),
        (b"525 5.7.13 disabled\r\n", "E412", False),
        (b"530 5.7.0 first something else\r\n", "E412", False),
        (b"538 5.7.11 encrypt\r\n", "E412", False),
        (b"504 5.5.4 mechanism\r\n", "E412", False),
        (b"500 5.5.6 too long\r\n", "E412", False),
        (b"501 5.5.2 malformed\r\n", "E412", False),
        (b"432 4.7.12 password transition\r\n", "E412", False),
        (b"454 4.7.0 temporary\r\n", "E413", True),
        (b"421 4.7.0 later\r\n", "E413", True),
        (b"451 4.3.0 later\r\n", "E413", True),
        (b"503 5.5.1 already\r\n", "E413", True),
    ],
)
async def test_each_answer_to_a_login_has_its_meaning(
    connect: Connect, reply: bytes, code: str, retryable: bool
) -> None:
    async with ScriptedRelay(logins={USER: PASSWORD}) as relay:
        relay.answers("AUTH", reply)
        with pytest.raises(RelayError) as error:
            await connect(relay.route(user=USER), PASSWORD)
        assert (error.value.code, error.value.retryable) == (code, retryable)
        assert relay.verbs().count("AUTH") == 1
        assert PASSWORD not in f"{error.value.to_dict()} {error.value.why}"


def test_gmail_is_told_by_name() -> None:
    route = Route(host="smtp.gmail.com", port=587, security=Security.STARTTLS, user="you@gmail.com")
    error = diagnose(aiosmtplib.SMTPAuthenticationError(535, "5.7.8 no"), Phase.AUTH, route, SETTINGS)
    assert error.message == "Gmail refused the login of you@gmail.com (535 5.7.8)"
    assert error.hint is not None
    assert "apppasswords" in error.hint
