"""Promises of the capture server, seen by real clients over real TLS."""

import asyncio
import smtplib
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import aiosmtplib
import pytest

from mailer.capture.mailbox import Captured, Mailbox
from mailer.capture.server import CaptureServer
from mailer.vocabulary.errors import UsageError

ROOT = Path(__file__).parents[2]
MESSAGE = b"Subject: hi\r\n\r\nhello\r\n"


@pytest.fixture(autouse=True)
def _quiet(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a client does, nothing is said on stderr and nothing is logged (asyncio complains there)."""
    yield
    assert capfd.readouterr().err == ""
    assert caplog.get_records("call") == []


@pytest.fixture
async def capture(tmp_path: Path) -> AsyncIterator[CaptureServer]:
    async with CaptureServer(tmp_path / "capture", port=0) as server:
        yield server


def trusting(server: CaptureServer) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=server.ca_file)


def client(server: CaptureServer, *, hostname: str = "localhost", login: str | None = None) -> aiosmtplib.SMTP:
    return aiosmtplib.SMTP(
        hostname=hostname,
        port=server.port,
        start_tls=True,
        tls_context=trusting(server),
        username=login,
        password=login and "any",
    )


async def send(server: CaptureServer, *recipients: str, content: bytes = MESSAGE) -> tuple[dict[str, object], str]:
    async with client(server) as smtp:
        refused, words = await smtp.sendmail("a@example.com", list(recipients), content)
        return dict(refused), words


async def test_a_message_is_captured_byte_by_byte(capture: CaptureServer) -> None:
    content = b"Subject: hi\r\n\r\n.dot\r\n..two\r\nb\xc3\xa4r \xff\r\n\r\n.\r\n.x\r\n"
    before = time.time_ns() // 10**6
    _, words = await send(capture, "ann@example.com", content=content)
    (message,) = capture.mailbox
    assert message.content == content
    assert (message.reverse_path, message.recipients) == ("a@example.com", ("ann@example.com",))
    assert (message.subject, message.answered) == ("hi", True)
    assert before <= message.taken_ms <= time.time_ns() // 10**6
    assert words == f"2.0.0 Ok: queued as {message.id}"


async def test_mail_before_starttls_is_refused(capture: CaptureServer) -> None:
    async with aiosmtplib.SMTP(hostname="localhost", port=capture.port, start_tls=False) as smtp:
        await smtp.ehlo()
        assert smtp.supports_extension("STARTTLS")
        assert not smtp.supports_extension("AUTH")
        with pytest.raises(aiosmtplib.SMTPSenderRefused) as raised:
            await smtp.mail("a@example.com")
    assert raised.value.code == 530


async def test_everything_a_mailer_needs_is_offered(capture: CaptureServer) -> None:
    async with client(capture) as smtp:
        await smtp.ehlo()
        offered = smtp.esmtp_extensions
        assert {"8bitmime", "smtputf8", "pipelining", "size", "auth"} <= offered.keys()
        assert "starttls" not in offered
        assert int(offered["size"]) >= 25 * 10**6
        assert smtp.transport is not None
        assert smtp.transport.get_extra_info("cipher")[1] == "TLSv1.3"


async def test_tls_below_1_2_is_refused(capture: CaptureServer) -> None:
    context = trusting(capture)
    # OpenSSL may not speak TLS 1.1 at all any more: then it is our side that refuses, which is as good.
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, aiosmtplib.SMTPException)):
        async with aiosmtplib.SMTP(hostname="localhost", port=capture.port, start_tls=True, tls_context=context):
            pass


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
async def test_any_login_is_accepted(capture: CaptureServer, mechanism: str) -> None:
    async with client(capture) as smtp:
        await smtp.ehlo()
        login = smtp.auth_plain if mechanism == "PLAIN" else smtp.auth_login
        assert (await login("jürgen", "pass wörd")).code == 235
    async with client(capture, login="ann") as smtp:
        assert (await smtp.sendmail("a@example.com", ["r@example.com"], MESSAGE))[0] == {}


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
async def test_the_certificate_is_for_every_name_of_this_computer(capture: CaptureServer, name: str) -> None:
    reader, writer = await starttls(capture)
    await writer.start_tls(trusting(capture), server_hostname=name)
    await cut(writer)
    assert await reader.read() == b""


async def test_an_address_in_unicode_is_taken(capture: CaptureServer) -> None:
    async with client(capture) as smtp:
        await smtp.ehlo()
        await smtp.sendmail(
            "jürgen@example.com", ["bär@example.com"], MESSAGE, mail_options=["SMTPUTF8", "BODY=8BITMIME"]
        )
    (message,) = capture.mailbox
    assert (message.reverse_path, message.recipients) == ("jürgen@example.com", ("bär@example.com",))


@pytest.mark.parametrize(
    ("address", "code", "words"),
    [
        ("bounce+550@example.com", 550, "5.1.1 unknown user"),
        ("bounce+550-17@example.com", 550, "5.1.1 unknown user"),
        ("full+552@example.com", 552, "5.2.2 mailbox full"),
        ("defer+451@example.com", 451, "4.3.0 try again later"),
    ],
)
async def test_a_recipient_is_refused_every_time(capture: CaptureServer, address: str, code: int, words: str) -> None:
    async with client(capture) as smtp:
        for _ in range(2):
            with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as raised:
                await smtp.sendmail("a@example.com", [address], MESSAGE)
            (refusal,) = raised.value.recipients
            assert (refusal.recipient, refusal.code, refusal.message) == (address, code, words)
    assert (capture.mailbox.accepted, capture.mailbox.dropped, len(capture.mailbox)) == (0, 0, 0)


async def test_a_message_is_refused_after_the_dot(capture: CaptureServer) -> None:
    async with client(capture) as smtp:
        with pytest.raises(aiosmtplib.SMTPDataError) as raised:
            await smtp.sendmail("a@example.com", ["reject+554@example.com"], MESSAGE)
        assert (raised.value.code, raised.value.message) == (554, "5.7.1 message rejected")
        await smtp.sendmail("a@example.com", ["ann@example.com"], MESSAGE)
    assert capture.mailbox.accepted_for == {"ann@example.com": 1}


async def test_greylisting_defers_each_address_once(capture: CaptureServer) -> None:
    for address in ("greylist@example.com", "greylist-2@example.com"):
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as raised:
            await send(capture, address)
        assert (raised.value.recipients[0].code, raised.value.recipients[0].message[:5]) == (451, "4.7.1")
        assert (await send(capture, address))[0] == {}
    assert capture.mailbox.accepted_for == {"greylist@example.com": 1, "greylist-2@example.com": 1}


async def test_a_slow_reply_comes_after_the_time_it_says(capture: CaptureServer) -> None:
    begun = time.monotonic()
    await send(capture, "slow+200ms@example.com")
    assert time.monotonic() - begun >= 0.2
    assert capture.mailbox.accepted == 1


async def test_drop_takes_the_message_and_says_nothing(capture: CaptureServer) -> None:
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await send(capture, "drop@example.com", "ann@example.com")
    assert (capture.mailbox.accepted, capture.mailbox.dropped) == (0, 1)
    assert capture.mailbox.dropped_for == {"drop@example.com": 1, "ann@example.com": 1}
    (message,) = capture.mailbox
    assert (message.answered, message.content) == (False, MESSAGE)
    assert (await send(capture, "ann@example.com"))[0] == {}


async def test_not_one_byte_follows_a_dropped_message(capture: CaptureServer) -> None:
    reader, writer = await starttls(capture)
    await writer.start_tls(trusting(capture), server_hostname="localhost")
    writer.write(b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<drop@b.example>\r\nDATA\r\n")
    await reader.readuntil(b"354 End data with <CR><LF>.<CR><LF>\r\n")
    writer.write(b"Subject: x\r\n\r\n.\r\nMAIL FROM:<a@b.example>\r\n")
    with suppress(ConnectionError):  # cut with our next command unread, the kernel says it with a reset
        assert await reader.read() == b""
    await cut(writer)
    assert capture.mailbox.dropped == 1


async def test_a_421_closes_the_connection(capture: CaptureServer) -> None:
    reader, writer = await starttls(capture)
    await writer.start_tls(trusting(capture), server_hostname="localhost")
    writer.write(b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<defer+421@b.example>\r\n")
    assert (await reader.read()).endswith(b"\r\n421 4.3.0 try again later\r\n")
    await cut(writer)


async def test_smtplib_finds_the_refused_among_many(capture: CaptureServer) -> None:
    def sent() -> dict[str, tuple[int, bytes]]:
        with smtplib.SMTP("localhost", capture.port) as smtp:
            smtp.starttls(context=trusting(capture))
            smtp.login("ann", "any")
            with pytest.raises(smtplib.SMTPRecipientsRefused) as raised:
                smtp.sendmail("a@example.com", ["full+552@example.com"], MESSAGE)
            assert raised.value.recipients == {"full+552@example.com": (552, b"5.2.2 mailbox full")}
            return smtp.sendmail("a@example.com", ["ann@example.com", "bounce+550@example.com"], MESSAGE)

    assert await asyncio.to_thread(sent) == {"bounce+550@example.com": (550, b"5.1.1 unknown user")}
    assert capture.mailbox.accepted_for == {"ann@example.com": 1}


async def test_messages_over_ten_connections_are_counted_exactly(capture: CaptureServer) -> None:
    async def connection(number: int) -> None:
        async with client(capture) as smtp:
            for row in range(30):
                await smtp.sendmail("a@example.com", [f"r{number}-{row}@example.com"], MESSAGE)

    await asyncio.gather(*(connection(number) for number in range(10)))
    assert capture.mailbox.accepted == 300 == len(capture.mailbox)
    assert capture.mailbox.accepted_for == {f"r{n}-{row}@example.com": 1 for n in range(10) for row in range(30)}


async def test_a_pipelined_envelope_is_answered_in_order(capture: CaptureServer) -> None:
    reader, writer = await starttls(capture)
    await writer.start_tls(trusting(capture), server_hostname="localhost")
    writer.write(
        b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<bounce+550@b.example>\r\nRCPT TO:<ann@b.example>\r\nDATA\r\n"
    )
    replies = await reader.readuntil(b"354 End data with <CR><LF>.<CR><LF>\r\n")
    writer.write(MESSAGE + b".\r\nQUIT\r\n")
    replies += await reader.read()
    codes = [int(line[:3]) for line in replies.splitlines() if line[3:4] == b" "]
    assert codes == [250, 250, 550, 250, 354, 250, 221]
    await cut(writer)


async def test_a_message_above_the_announced_size_is_refused(capture: CaptureServer) -> None:
    async with client(capture) as smtp:
        await smtp.ehlo()
        with pytest.raises(aiosmtplib.SMTPSenderRefused) as raised:
            await smtp.mail("a@example.com", options=["SIZE=999999999"])
    assert raised.value.code == 552


async def test_a_taken_port_is_replaced_by_a_free_one(capture: CaptureServer, tmp_path: Path) -> None:
    async with CaptureServer(tmp_path / "capture", port=capture.port) as second:
        assert second.port not in (0, capture.port)
        assert second.url == f"smtp+starttls://localhost:{second.port}"
        await send(second, "ann@example.com")
    assert (second.mailbox.accepted, capture.mailbox.accepted) == (1, 0)


async def test_a_fixed_port_that_is_taken_is_an_error(capture: CaptureServer, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{capture.port}") as raised:
        async with CaptureServer(tmp_path / "capture", port=capture.port, fixed_port=True):
            pass
    assert raised.value.code == "E121"


async def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=str(tmp_path / "file")) as raised:
        async with CaptureServer(tmp_path / "file", port=0):
            pass
    assert raised.value.code == "E122"


async def test_what_on_message_raises_never_reaches_the_client(tmp_path: Path) -> None:
    seen: list[Captured] = []
    complaints: list[object] = []

    def stumble(message: Captured) -> None:
        seen.append(message)
        raise RuntimeError("a fault of the caller")

    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["exception"]))
    async with CaptureServer(tmp_path, port=0, on_message=stumble) as server:
        await send(server, "ann@example.com")
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await send(server, "drop@example.com")
    assert seen == list(server.mailbox)[::-1]
    assert [str(complaint) for complaint in complaints] == ["a fault of the caller"] * 2


async def test_a_mailbox_of_ones_own_goes_on_over_two_servers(tmp_path: Path) -> None:
    mailbox = Mailbox(keep=1)
    for _ in range(2):
        async with CaptureServer(tmp_path, port=0, mailbox=mailbox) as server:
            await send(server, "ann@example.com")
    assert (mailbox.accepted, len(mailbox)) == (2, 1)


async def test_the_authority_stays_the_same_and_its_key_private(tmp_path: Path) -> None:
    folder = tmp_path / "capture"
    async with CaptureServer(folder, port=0) as first:
        trusted = trusting(first)
    async with CaptureServer(folder, port=0) as second:
        reader, writer = await starttls(second)
        await writer.start_tls(trusted, server_hostname="localhost")
        await cut(writer)
        assert await reader.read() == b""
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.iterdir()]}
    assert modes == {"capture": 0o700, "ca.pem": 0o644, "ca.key": 0o600}
    assert b"PRIVATE" not in first.ca_file.read_bytes()


@pytest.mark.thorough
def test_commands_that_begin_together_make_one_authority(tmp_path: Path) -> None:
    script = "import sys; from pathlib import Path; from mailer.capture.authority import Authority; \
Authority(Path(sys.argv[1])).server_context('localhost'); print(Path(sys.argv[1], 'ca.pem').read_text())"
    started = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "ca")], cwd=ROOT, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    told = {process.communicate()[0] for process in started}
    assert len(told) == 1
    assert {process.returncode for process in started} == {0}


@pytest.mark.parametrize("step", ["greeting", "handshake", "untrusted", "data", "slow"])
async def test_a_client_that_vanishes_disturbs_nobody(capture: CaptureServer, step: str) -> None:
    _, writer = await starttls(capture)
    match step:
        case "handshake":
            writer.write(b"\x16\x03\x01")
        case "untrusted":
            with pytest.raises(ssl.SSLCertVerificationError):
                await writer.start_tls(ssl.create_default_context(), server_hostname="localhost")
        case "data" | "slow":
            await writer.start_tls(trusting(capture), server_hostname="localhost")
            writer.write(b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<slow+1h@b.example>\r\nDATA\r\nSubject: x\r\n")
            writer.write(b"\r\n.\r\n" if step == "slow" else b"")
    await cut(writer)
    assert (await send(capture, "ann@example.com"))[0] == {}
    assert capture.mailbox.accepted_for == {"ann@example.com": 1}


@pytest.mark.parametrize("step", ["greeting", "handshake", "idle", "slow"])
async def test_the_end_cuts_what_is_still_open(tmp_path: Path, step: str) -> None:
    async with CaptureServer(tmp_path, port=0) as server:
        reader, writer = await starttls(server)
        if step == "handshake":
            writer.write(b"\x16\x03\x01")
        elif step in ("idle", "slow"):
            await writer.start_tls(trusting(server), server_hostname="localhost")
            writer.write(b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<slow+1h@b.example>\r\nDATA\r\n")
            await reader.readuntil(b"354 End data with <CR><LF>.<CR><LF>\r\n")
            writer.write(b".\r\n" if step == "slow" else b"")
    with suppress(ConnectionError):  # cut with something unread
        assert await reader.read() == b""
    await cut(writer)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", server.port)
    assert server.mailbox.accepted == 0


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"", b"500"),
        (b"\xff\xfe", b"500"),
        (b"WHAT now", b"500"),
        (b"EXPN x", b"502"),
        (b"VRFY \xff", b"252"),
        (b"VRFY \xff@", b"500"),
        (b"AUTH X \xff", b"504"),
        (b"MAIL FROM:<" + b"x" * 3_000, b"500"),
        (b"MAIL FROM:<" + b"x" * 70_000, b"500"),
    ],
)
async def test_a_strange_line_gets_an_answer_and_the_server_goes_on(
    capture: CaptureServer, line: bytes, code: bytes
) -> None:
    reader, writer = await starttls(capture)
    await writer.start_tls(trusting(capture), server_hostname="localhost")
    writer.write(b"EHLO x\r\n" + line + b"\r\nQUIT\r\n")
    replies = (await reader.read()).splitlines()
    assert [reply[:3] for reply in replies[-2:]] == [code, b"221"]
    await cut(writer)


def test_nothing_of_aiosmtpds_own_log_is_shown_where_nobody_configured_logging(tmp_path: Path) -> None:
    script = """
import asyncio, smtplib, ssl, sys
from pathlib import Path
from mailer.capture.server import CaptureServer
def talk(server):
    with smtplib.SMTP("localhost", server.port) as smtp:
        smtp.starttls(context=ssl.create_default_context(cafile=server.ca_file))
        smtp.login("ann", "any")
        smtp.docmd("BOGUS")
async def main():
    async with CaptureServer(Path(sys.argv[1]), port=0) as server: await asyncio.to_thread(talk, server)
asyncio.run(main())
"""
    told = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stderr == ""


def test_without_the_demo_extra_the_way_to_it_is_named(tmp_path: Path) -> None:
    script = """
import asyncio, sys
sys.modules |= dict.fromkeys(("aiosmtpd", "trustme"))
from pathlib import Path
from mailer.capture.server import CaptureServer
from mailer.vocabulary.errors import UsageError
async def main():
    async with CaptureServer(Path(sys.argv[1])): pass
try: asyncio.run(main())
except UsageError as error: print(error.code, error.hint)
"""
    told = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert told.stdout == "E120 pip install '.[demo]'\n"


async def starttls(server: CaptureServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that is about to begin its handshake."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    assert (await reader.readline()).startswith(b"220 localhost ")
    writer.write(b"STARTTLS\r\n")
    assert (await reader.readline()).startswith(b"220 ")
    return reader, writer


async def cut(writer: asyncio.StreamWriter) -> None:
    """Close a client's side with a reset, so that nothing lingers on either."""
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    writer.transport.abort()
