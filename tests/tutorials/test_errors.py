"""The errors that tutorials end with: what smtplib raises, and what mailer says instead."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mailer.policy.smtp_url import parse_smtp_url
from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.route import Security
from tests.relays import certificates
from tests.tutorials.mail_server import MailServer
from tests.tutorials.pupil import Ended, Pupil


async def complaint(pupil: Pupil, url: str, code: str, *, exit_code: int = 4) -> Ended:
    """`mailer send` must end with this error, in text and in JSON, and nothing may be accepted."""
    pupil.environ["MAILER_SMTP_URL"] = url
    text, document = await pupil.mailer("send", "--yes"), await pupil.mailer("send", "--yes", "--json")
    assert (text.code, document.code, document.error["code"]) == (exit_code, exit_code, code), text
    assert f"error[{code}]: {document.error['message']}" in text.err
    assert text.err.endswith(f"more: mailer explain {code}\n")
    assert "Traceback" not in text.err
    del pupil.environ["MAILER_SMTP_URL"]
    assert (await pupil.mailer("status", "--json")).document["campaigns"] == []
    return text


@pytest.mark.thorough
async def test_wrong_version_number(pupil: Pupil) -> None:
    """`ssl.SSLError: [SSL: WRONG_VERSION_NUMBER]`: SMTP_SSL where STARTTLS is spoken."""
    async with MailServer(Security.STARTTLS) as server:
        told = await complaint(pupil, server.url.replace("smtp+starttls", "smtps"), "E401")
        assert f"fix: {server.url}" in told.err


@asynccontextmanager
async def hangs_up() -> AsyncIterator[int]:
    """A server that takes connections and closes them without a word; its port."""

    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_connection_unexpectedly_closed(pupil: Pupil) -> None:
    """`smtplib.SMTPServerDisconnected: Connection unexpectedly closed`."""
    async with hangs_up() as port:
        told = await complaint(pupil, f"smtp+starttls://127.0.0.1:{port}", "E435")
        assert "closed the connection before its greeting" in told.err


@pytest.mark.thorough
async def test_connection_refused(pupil: Pupil) -> None:
    """`ConnectionRefusedError: [Errno 111] Connection refused`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    told = await complaint(pupil, f"smtp+starttls://127.0.0.1:{port}", "E431")
    assert f"nothing is listening on 127.0.0.1:{port}" in told.err


@pytest.mark.parametrize("port", ["0", "99999", "65536", "587a", "-1", "smtp", "5 87"])
def test_bad_ports(port: str) -> None:
    """`OverflowError: getsockaddrarg: port must be 0-65535`, `socket.gaierror: Servname not supported`."""
    with pytest.raises(UsageError) as caught:
        parse_smtp_url(f"smtp+starttls://smtp.example.com:{port}")
    assert caught.value.code == "E102"
    assert "smtp+starttls://" in str(caught.value.hint)


async def test_a_bad_port_is_told_before_anything_is_opened(pupil: Pupil) -> None:
    told = await complaint(pupil, "smtp+starttls://smtp.example.com:99999", "E102", exit_code=2)
    assert "the port of the SMTP URL is not a number from 1 to 65535" in told.err


async def test_an_untrusted_certificate(pupil: Pupil) -> None:
    """`ssl.SSLCertVerificationError: certificate verify failed: unable to get local issuer certificate`."""
    async with MailServer(shows=certificates.issue()) as server:
        pupil.trusts(certificates.good())
        told = await complaint(pupil, server.url, "E422")
    assert "is signed by an unknown authority" in told.err
    assert "fix: MAILER_SMTP_CA_FILE=/path/ca.pem" in told.err


@pytest.mark.thorough
async def test_a_certificate_for_another_name(pupil: Pupil) -> None:
    """`ssl.SSLCertVerificationError: Hostname mismatch, certificate is not valid for …`."""
    async with MailServer(shows=certificates.issue("smtp.example.com")) as server:
        pupil.trusts(server.certificates)
        told = await complaint(pupil, server.url, "E421")
        assert f"fix: smtp+starttls://smtp.example.com:{server.port}" in told.err


@pytest.mark.thorough
async def test_starttls_that_is_not_offered(pupil: Pupil) -> None:
    """`smtplib.SMTPNotSupportedError: STARTTLS extension not supported by server.`"""
    async with MailServer(Security.PLAIN) as server:
        told = await complaint(pupil, server.url.replace("+insecure", "+starttls"), "E424")
        assert "does not offer STARTTLS" in told.err


async def test_a_server_that_wants_starttls_first(pupil: Pupil) -> None:
    """`smtplib.SMTPSenderRefused: (530, b'5.7.0 Must issue a STARTTLS command first')`."""
    async with MailServer(Security.STARTTLS) as server:
        pupil.environ["MAILER_SMTP_URL"] = server.url.replace("+starttls", "+insecure")
        done = await pupil.mailer("doctor", "--smtp")
    assert (done.code, "error[E423]" in done.out) == (4, True)
