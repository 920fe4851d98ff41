"""The dialogue as it happens: every line of it, in order, by connection, and not a secret."""

import base64

import pytest

from mailer.backends.smtp.pool import SmtpPool
from mailer.backends.smtp.transcript import Transcript
from mailer.vocabulary.errors import RelayError
from tests.backends.smtp.pooling import send_through
from tests.backends.smtp.sending import BAD, CONTENT, GOOD, SETTINGS
from tests.relays.scripted import ScriptedRelay

USER, PASSWORD = "news@client.test", "canary-password"


async def test_every_line_is_told_in_order_and_the_message_by_its_size(relay: ScriptedRelay) -> None:
    relay.refuses_recipient(BAD)
    lines: list[str] = []
    pool = SmtpPool(relay.route(), None, SETTINGS, transcript=lines.append)
    await send_through(pool, GOOD, BAD)
    await pool.close()
    assert all(line.startswith("#1 ") for line in lines)
    said = [line[3:] for line in lines]
    assert said[:2] == [f"-- connecting to 127.0.0.1:{relay.port}", "S: 220 scripted.test ESMTP"]
    assert [line for line in said if line.startswith("C:")] == [
        "C: EHLO client.test",
        "C: STARTTLS",
        "C: EHLO client.test",
        f"C: MAIL FROM:<sender@client.test> SIZE={len(CONTENT)}",
        f"C: RCPT TO:<{GOOD}>",
        f"C: RCPT TO:<{BAD}>",
        "C: DATA",
        f"C: <{len(CONTENT)} bytes>",
        "C: .",
        "C: QUIT",
    ]
    assert said[-2:] == ["C: QUIT", "S: 221 2.0.0 Bye"]
    assert "S: 550 5.1.1 no such user" in said
    assert "S: 250 2.0.0 Ok: queued as 1" in said


async def test_connections_are_told_apart(relay: ScriptedRelay) -> None:
    lines: list[str] = []
    pool = SmtpPool(relay.route(), None, SETTINGS, transcript=lines.append)
    async with pool.session(), pool.session():
        pass
    await pool.close()
    assert {line.partition(" ")[0] for line in lines} == {"#1", "#2"}


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
async def test_no_secret_is_told_whoever_repeats_it(mechanism: str) -> None:
    lines: list[str] = []
    plain = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()
    async with ScriptedRelay(logins={USER: PASSWORD}, mechanisms=mechanism) as relay:
        relay.answers("AUTH", f"235 2.7.0 welcome {PASSWORD} {plain}\r\n".encode())
        relay.answers("RCPT", f"250 2.1.5 {PASSWORD}\r\n".encode())
        pool = SmtpPool(relay.route(user=USER), PASSWORD, SETTINGS, transcript=lines.append)
        await send_through(pool, GOOD)
        await pool.close()
        (wire,) = relay.wires
        said = [line for line in bytes(wire.received).split(b"\r\n") if line.startswith(b"AUTH")]
    shown = "\n".join(lines)
    secrets = {PASSWORD, plain, base64.b64encode(PASSWORD.encode()).decode()}
    secrets |= {word for line in said for word in line.decode().split()[2:]}
    assert not [secret for secret in secrets if secret in shown]
    assert f"#1 C: AUTH {mechanism}" in shown
    assert "#1 S: 235 2.7.0 welcome *** ***" in lines
    assert "#1 S: 250 2.1.5 ***" in lines


async def test_a_connection_that_breaks_says_so(relay: ScriptedRelay) -> None:
    relay.drops_at("DOT")
    lines: list[str] = []
    pool = SmtpPool(relay.route(), None, SETTINGS, transcript=lines.append)
    await send_through(pool, GOOD)
    await pool.close()
    assert lines[-2:] == ["#1 C: .", "#1 -- connection closed by the relay"]


async def test_a_login_that_fails_is_told_with_its_explanation() -> None:
    lines: list[str] = []
    async with ScriptedRelay(logins={USER: "another"}) as relay:
        pool = SmtpPool(relay.route(user=USER), PASSWORD, SETTINGS, transcript=lines.append)
        with pytest.raises(RelayError):
            await send_through(pool, GOOD)
        await pool.close()
    assert lines[-2] == "#1 S: 535 5.7.8 authentication failed"
    assert lines[-1] == f"#1 -- 127.0.0.1 refused the login of {USER} (535 5.7.8)"


def test_what_controls_a_terminal_is_not_told_and_a_long_line_hides_half_a_password_too() -> None:
    lines: list[str] = []
    transcript = Transcript(lines.append, password=PASSWORD)
    transcript.heard(220, [f"\x1b[31mred {'x' * 485} {PASSWORD}"])
    transcript.said_message(20_480)
    assert "\x1b" not in lines[0]
    assert "canary" not in lines[0]
    assert lines[1] == "C: <20 480 bytes>"
