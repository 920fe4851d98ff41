"""Logging in: `server.login(user, password)`, `getpass`, environment variables, and SMTPAuthenticationError."""

import asyncio
import os
import pty
import re
import select
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.tutorials.mail_server import MailServer
from tests.tutorials.pupil import Ended, Pupil, ended

USER, PASSWORD = "me", "canary-8e41-password"


@pytest.fixture
async def server(pupil: Pupil) -> AsyncIterator[MailServer]:
    """A server that serves nobody without a login."""
    async with MailServer(logins={USER: PASSWORD}) as server:
        pupil.environ["MAILER_SMTP_URL"] = server.url_for(USER)
        pupil.trusts(server.certificates)
        yield server


async def sent(pupil: Pupil, server: MailServer) -> None:
    done = await pupil.mailer("send", "--yes")
    assert done.code == 0, done
    assert PASSWORD not in done.out + done.err
    assert set(server.users) == {USER}
    assert server.recipients == ["ann@example.com"]


async def test_a_login_with_the_password_from_the_environment(pupil: Pupil, server: MailServer) -> None:
    pupil.environ["MAILER_SMTP_PASSWORD"] = PASSWORD
    await sent(pupil, server)


@pytest.mark.thorough
async def test_a_login_with_the_password_from_a_file(pupil: Pupil, server: MailServer) -> None:
    file = pupil.folder / "password"
    file.write_text(f"{PASSWORD}\n")
    file.chmod(0o600)
    pupil.environ["MAILER_SMTP_PASSWORD_FILE"] = str(file)
    await sent(pupil, server)


@pytest.mark.thorough
async def test_a_login_with_the_password_from_a_command(pupil: Pupil, server: MailServer) -> None:
    script = pupil.folder / "keyring.py"
    script.write_text(f'print("{PASSWORD}")\n')
    pupil.environ["MAILER_SMTP_PASSWORD_COMMAND"] = f"{sys.executable} {script}"
    await sent(pupil, server)


def typed(pupil: Pupil, *words: str) -> Ended:
    """Run a command on a terminal where somebody types the password; `out` has what the terminal echoed, too."""
    terminal, end = pty.openpty()
    try:
        running = pupil.starts(*words, terminal=Path(os.ttyname(end)))
        running.says("Password of me at ")
        os.write(terminal, f"{PASSWORD}\n".encode())
        done = ended(running)
        ready, _, _ = select.select([terminal], [], [], 0)
        echo = os.read(terminal, 10_000).decode() if ready else ""
    finally:
        os.close(terminal)
        os.close(end)
    return Ended(done.code, done.out + echo, done.err)


@pytest.mark.thorough
async def test_send_asks_for_the_password_on_the_terminal_without_echo(pupil: Pupil, server: MailServer) -> None:
    done = await asyncio.to_thread(typed, pupil, "send", "--yes")
    assert done.code == 0, done
    assert PASSWORD not in done.out + done.err
    assert server.recipients == ["ann@example.com"]


async def test_doctor_asks_for_the_password_on_the_terminal_without_echo(pupil: Pupil, server: MailServer) -> None:
    done = await asyncio.to_thread(typed, pupil, "doctor", "--smtp")
    assert PASSWORD not in done.out + done.err
    assert server.users == [USER]
    assert "✓ AUTH              me (" in done.out


@pytest.mark.thorough
async def test_a_refused_login_says_what_to_check_and_sends_nothing(pupil: Pupil, server: MailServer) -> None:
    pupil.environ["MAILER_SMTP_PASSWORD"] = f"not-{PASSWORD}"
    text, document = await pupil.mailer("send", "--yes"), await pupil.mailer("send", "--yes", "--json")
    assert (text.code, document.code) == (4, 4)
    assert re.search(r"^error\[E411\]: 127\.0\.0\.1 refused the login of me \(535", text.err, re.MULTILINE)
    assert "fix: check the user in the SMTP URL and MAILER_SMTP_PASSWORD" in text.err
    assert text.err.endswith("more: mailer explain E411\n")
    assert document.error["code"] == "E411"
    assert PASSWORD not in text.err + document.err
    assert (await pupil.mailer("status", "--json")).document["campaigns"] == []


async def test_a_missing_password_is_said_before_anything_happens(pupil: Pupil, server: MailServer) -> None:
    error = (await pupil.mailer("send", "--yes", "--json")).error
    assert (error["code"], "MAILER_SMTP_PASSWORD" in error["hint"]) == ("E113", True)


async def test_a_password_never_crosses_the_network_in_clear_text(pupil: Pupil) -> None:
    pupil.environ |= {"MAILER_SMTP_URL": "smtp+insecure://me@127.0.0.1:25", "MAILER_SMTP_PASSWORD": PASSWORD}
    assert (await pupil.mailer("send", "--yes", "--json")).error["code"] == "E104"
