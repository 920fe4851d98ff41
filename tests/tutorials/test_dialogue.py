"""The dialogue on the screen: `--transcript`, where tutorials say `server.set_debuglevel(1)`."""

import base64
from collections.abc import AsyncIterator

import pytest

from tests.tutorials.mail_server import REFUSED, MailServer
from tests.tutorials.pupil import Pupil

USER, PASSWORD = "me", "canary-3c19-password"
SECRETS = {
    PASSWORD,
    base64.b64encode(PASSWORD.encode()).decode(),
    base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode(),
}


@pytest.fixture
async def server(pupil: Pupil) -> AsyncIterator[MailServer]:
    async with MailServer(logins={USER: PASSWORD}) as server:
        pupil.environ |= {"MAILER_SMTP_URL": server.url_for(USER), "MAILER_SMTP_PASSWORD": PASSWORD}
        pupil.trusts(server.certificates)
        yield server


async def test_doctor_shows_the_dialogue_of_its_examination(pupil: Pupil, server: MailServer) -> None:
    done = await pupil.mailer("doctor", "--smtp", "--transcript")
    for line in ("C: STARTTLS", "C: AUTH PLAIN ***", "C: MAIL FROM:<me@example.com>", "C: QUIT"):
        assert f"    {line}" in done.out
    assert not [secret for secret in SECRETS if secret in done.out + done.err]


async def test_send_shows_the_dialogue_of_every_message(pupil: Pupil, server: MailServer) -> None:
    pupil.writes(people_csv=f"email,name\nann@example.com,Ann\n{REFUSED},Nobody\n")
    done = await pupil.mailer("send", "--yes", "--transcript")
    assert done.code == 1, done
    lines = [line.partition(" ")[2] for line in done.err.splitlines() if line.startswith("#")]
    for line in (
        "C: STARTTLS",
        "C: AUTH PLAIN ***",
        "C: RCPT TO:<ann@example.com>",
        "C: .",
        f"C: RCPT TO:<{REFUSED}>",
        "S: 550 5.1.1 no such user here",
        "C: QUIT",
    ):
        assert line in lines, done.err
    # The message itself is told by its size.
    assert [line for line in lines if line.startswith("C: <") and line.endswith(" bytes>")]
    assert "this is plain text" not in done.err
    assert not [secret for secret in SECRETS if secret in done.out + done.err]
