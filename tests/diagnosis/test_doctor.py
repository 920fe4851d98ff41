"""`mailer doctor`: the whole ladder, its exit codes, the dialogue without secrets, the queue server."""

import asyncio
import base64
import io
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import aiosmtplib
import pytest
from redis import Redis

from mailer.backends.smtp.diagnosis import diagnose
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.route import Route, Security
from mailer.vocabulary.settings import SmtpSettings
from tests.diagnosis.command_line import CommandLine
from tests.diagnosis.golden import check
from tests.relays import certificates
from tests.relays.scripted import ScriptedRelay
from tests.servers import OwnServer

USER, PASSWORD = "news@acme.example", "canary-51c0-password"
LeadsTo = Callable[..., None]
RUNGS = ["DNS", "TCP", "greeting", "EHLO", "STARTTLS", "certificate", "AUTH", "MAIL", "RCPT", "QUIT"]


@pytest.fixture
def leads_to(place: Path, monkeypatch: pytest.MonkeyPatch) -> LeadsTo:
    def leads_to(relay: ScriptedRelay, scheme: str = "smtp+starttls", user: str | None = USER) -> None:
        (place / "ca.pem").write_text(relay.certificates.ca_pem)
        monkeypatch.setenv("MAILER_SMTP_CA_FILE", "ca.pem")
        login = f"{user.replace('@', '%40')}@" if user else ""
        monkeypatch.setenv("MAILER_SMTP_URL", f"{scheme}://{login}localhost:{relay.port}")

    return leads_to


async def test_every_rung_is_told_and_no_message_is_begun(
    mailer: CommandLine, leads_to: LeadsTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILER_SMTP_PASSWORD", PASSWORD)
    async with ScriptedRelay(logins={USER: PASSWORD}) as relay:
        leads_to(relay)
        text = await mailer("doctor", "--smtp")
        document = await mailer("doctor", "--smtp", "--json")
        assert relay.verbs(1) == ["EHLO", "STARTTLS", "EHLO", "AUTH", "MAIL", "RCPT", "QUIT"]
    assert (text.code, text.err, document.code, document.err) == (0, "", 0, "")
    check("ladder.txt", text.out, PORT=relay.port)
    told = document.document
    assert told["ok"] is True
    assert [(step["step"], step["result"]) for step in told["smtp"]["steps"]] == [(rung, "ok") for rung in RUNGS]
    assert "redis" not in told


@pytest.mark.parametrize("mechanisms", ["PLAIN", "LOGIN", "CRAM-MD5"])
async def test_the_transcript_shows_the_dialogue_and_no_secret(
    mailer: CommandLine, leads_to: LeadsTo, monkeypatch: pytest.MonkeyPatch, mechanisms: str
) -> None:
    monkeypatch.setenv("MAILER_SMTP_PASSWORD", PASSWORD)
    async with ScriptedRelay(Security.TLS, logins={USER: PASSWORD}, mechanisms=mechanisms) as relay:
        relay.answers("MAIL", f"250 I heard {PASSWORD}\r\n".encode())
        leads_to(relay, "smtps")
        text = await mailer("doctor", "--smtp", "--transcript")
        document = await mailer("doctor", "--smtp", "--transcript", "--json")
        said = [line.split(b"\r\n") for line in (bytes(wire.received) for wire in relay.wires)]
    assert (text.code, document.code) == (0, 0)
    dialogue = document.document["smtp"]["transcript"]
    assert dialogue[0] == "S: 220 scripted.test ESMTP"
    assert f"C: AUTH {mechanisms} ***" in dialogue or f"C: AUTH {mechanisms}" in dialogue
    assert "S: 235 2.7.0 welcome" in dialogue
    assert dialogue[-2:] == ["C: QUIT", "S: 221 2.0.0 Bye"]
    for line in dialogue:
        assert f"    {line}" in text.out.splitlines()
    secrets = {PASSWORD, base64.b64encode(PASSWORD.encode()).decode()}
    # What was really said in AUTH and after a 334 is in no output either.
    secrets |= {word for line in said[0] if line.startswith(b"AUTH") for word in line.decode().split()[2:]}
    assert not [secret for secret in secrets if secret in text.out + document.out]


async def test_a_refused_sender_is_a_finding(
    mailer: CommandLine, leads_to: LeadsTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILER_CAMPAIGN__SENDER", "News <news@acme.example>")
    async with ScriptedRelay() as relay:
        relay.refuses_sender()
        leads_to(relay, user=None)
        done = await mailer("doctor", "--smtp", "--json")
    last = done.document["smtp"]["steps"][-1]
    assert (done.code, last["step"], last["error"]["code"]) == (3, "MAIL", "E436")
    assert "put the user into the SMTP URL" in last["error"]["hint"]


async def test_a_server_that_repeats_the_password_or_controls_the_terminal_is_not_quoted(
    mailer: CommandLine, leads_to: LeadsTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILER_SMTP_PASSWORD", PASSWORD)
    async with ScriptedRelay(logins={USER: "another"}) as relay:
        relay.answers("GREETING", b"220 \x1b[31mred\r\n")
        relay.answers("AUTH", f"535 5.7.8 {PASSWORD} is wrong\r\n".encode())
        leads_to(relay)
        for form in ([], ["--json"], ["--transcript"]):
            done = await mailer("doctor", "--smtp", *form)
            assert done.code == 4
            assert PASSWORD not in done.out + done.err
            assert "\x1b" not in done.out


async def test_a_refused_recipient_is_a_finding(
    mailer: CommandLine, leads_to: LeadsTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILER_SMTP_PASSWORD", PASSWORD)
    async with ScriptedRelay(logins={USER: PASSWORD}) as relay:
        relay.refuses_every_recipient()
        leads_to(relay)
        done = await mailer("doctor", "--smtp", "--json")
    last = done.document["smtp"]["steps"][-1]
    assert (done.code, last["step"], last["error"]["code"]) == (3, "RCPT", "E437")


@pytest.mark.parametrize(
    ("at", "step", "code"),
    [("GREETING", "greeting", "E435"), ("EHLO", "EHLO", "E435"), ("STARTTLS", "STARTTLS", "E435")],
)
async def test_the_step_at_which_the_relay_hangs_up_is_the_one_that_fails(
    mailer: CommandLine, leads_to: LeadsTo, at: str, step: str, code: str
) -> None:
    async with ScriptedRelay() as relay:
        relay.drops_at(at)
        leads_to(relay, user=None)
        done = await mailer("doctor", "--smtp", "--json")
    last = done.document["smtp"]["steps"][-1]
    assert (done.code, last["step"], last["error"]["code"]) == (4, step, code)


async def test_an_expired_certificate_is_told_at_its_own_step(mailer: CommandLine, leads_to: LeadsTo) -> None:
    async with ScriptedRelay(Security.TLS, shows=certificates.issue(days=-1)) as relay:
        leads_to(relay, "smtps", user=None)
        done = await mailer("doctor", "--smtp", "--json")
    steps = [(step["step"], step["result"]) for step in done.document["smtp"]["steps"]]
    assert steps == [("DNS", "ok"), ("TCP", "ok"), ("TLS", "ok"), ("certificate", "failed")]


async def test_without_a_terminal_a_missing_password_is_an_error(
    mailer: CommandLine, leads_to: LeadsTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ScriptedRelay(logins={USER: PASSWORD}) as relay:
        leads_to(relay)
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        done = await mailer("doctor", "--smtp")
        assert relay.connections == 0
    assert done.code == 2
    assert "error[E113]" in done.err


async def test_on_a_terminal_the_password_is_asked_for_without_echo(leads_to: LeadsTo, place: Path) -> None:
    async with ScriptedRelay(logins={USER: PASSWORD}) as relay:
        leads_to(relay)
        terminal, end = pty.openpty()

        def run() -> tuple[int, str]:
            process = subprocess.Popen(
                [sys.executable, "-m", "mailer", "doctor", "--smtp"],
                stdin=end,
                stdout=subprocess.PIPE,
                stderr=end,
                text=True,
                cwd=place,
                start_new_session=True,
            )
            shown = b""
            while b"Password of" not in shown:
                shown += os.read(terminal, 1000)
            os.write(terminal, f"{PASSWORD}\n".encode())
            out, _ = process.communicate(timeout=20)
            os.close(end)
            return process.returncode, out + shown.decode() + _rest(terminal)

        code, everything = await asyncio.to_thread(run)
    assert code == 0, everything
    assert PASSWORD not in everything


def _rest(terminal: int) -> str:
    try:
        return os.read(terminal, 10000).decode()
    except OSError:  # what Linux says when nobody is at the other end
        return ""
    finally:
        os.close(terminal)


async def test_a_well_kept_queue_server_passes(
    mailer: CommandLine, own_server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILER_REDIS_URL", own_server.url)
    done = await mailer("doctor", "--json")
    steps = done.document["redis"]["steps"]
    assert done.code == 0
    assert [step["step"] for step in steps] == [
        "reachable",
        "appendonly",
        "appendfsync",
        "maxmemory-policy",
        "memory",
    ]
    assert {step["result"] for step in steps} == {"ok"}


async def test_what_a_power_loss_would_cost_is_a_warning(
    mailer: CommandLine, own_server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Redis.from_url(own_server.url) as redis:
        redis.config_set("appendfsync", "everysec")
    monkeypatch.setenv("MAILER_REDIS_URL", own_server.url)
    done = await mailer("doctor", "--redis")
    assert done.code == 0
    assert "  ! appendfsync       everysec\n    warning[W502]: appendfsync is everysec\n" in done.out
    assert "fix: valkey-cli config set appendfsync always" in done.out


async def test_an_embedded_server_is_not_started_for_an_examination(mailer: CommandLine, place: Path) -> None:
    done = await mailer("doctor", "--redis")
    assert done.code == 0
    assert "– reachable         not running" in done.out
    assert not list(place.parent.glob("**/server.pid"))


async def test_a_missing_mail_server_is_an_error_only_where_it_is_asked_for(mailer: CommandLine) -> None:
    assert (await mailer("doctor")).code == 0
    done = await mailer("doctor", "--smtp")
    assert (done.code, "error[E105]" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (aiosmtplib.SMTPConnectTimeoutError("Timed out connecting to h on port 465"), "E433"),
        (aiosmtplib.SMTPConnectTimeoutError("Timed out waiting for server ready message"), "E402"),
    ],
)
def test_only_a_missing_greeting_is_taken_for_a_port_that_expects_tls(error: Exception, code: str) -> None:
    route = Route(host="relay.test", port=465, security=Security.STARTTLS)
    assert diagnose(error, Phase.CONNECT, route, SmtpSettings()).code == code
