"""Plain SMTP on 25, STARTTLS on 587, TLS on 465: `smtplib.SMTP(host, 25)`, `.starttls()`, `smtplib.SMTP_SSL(host)`."""

import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Self

import pytest

from mailer.policy.smtp_url import parse_smtp_url
from mailer.vocabulary.route import Security
from tests.relays import certificates, postfix
from tests.relays.postfix import Postfix
from tests.thorough import thorough
from tests.tutorials.mail_server import SCHEMES, MailServer
from tests.tutorials.pupil import Pupil

PORTS = {Security.PLAIN: 25, Security.STARTTLS: 587, Security.TLS: 465}
OWN_ADDRESS = "127.0.0.87"
"""Nobody else listens there: its low ports are free for these tests."""
every_security = pytest.mark.parametrize("security", list(Security), ids=lambda security: SCHEMES[security])
starttls_and_others = pytest.mark.parametrize(
    "security",
    [Security.STARTTLS, *thorough(Security.TLS, Security.PLAIN)],
    ids=lambda security: SCHEMES[security],
)
TLS = {Security.PLAIN: None, Security.STARTTLS: "TLSv1.3", Security.TLS: "TLSv1.3"}


async def sends_to_ann(pupil: Pupil, security: Security) -> None:
    """`mailer send` must say that Ann's message was sent, over the protection that the URL asks for."""
    sent = await pupil.mailer("send", "--yes", "--json")
    assert (sent.code, sent.document["totals"]["sent"]) == (0, 1), sent
    (line,) = (await pupil.mailer("report", "--format", "jsonl")).out.splitlines()
    assert TLS[security] is None or f'"tls":"{TLS[security]}"' in line
    assert TLS[security] is not None or '"tls":null' in line


@starttls_and_others
async def test_a_message_goes_out_as_the_url_says(pupil: Pupil, security: Security) -> None:
    async with MailServer(security) as server:
        pupil.environ["MAILER_SMTP_URL"] = server.url
        pupil.trusts(server.certificates)
        await sends_to_ann(pupil, security)
        (message,) = server.messages
        assert message["To"] == "ann@example.com"


class DebiansPostfix(Postfix):
    """It does not greet who does not begin TLS where that is to be begun, so nobody waits for its greeting."""

    def __init__(self, security: Security) -> None:
        clear_text, from_the_start = {"smtpd_tls_security_level": "none"}, {"smtpd_tls_wrappermode": "yes"}
        super().__init__(**{Security.PLAIN: clear_text, Security.TLS: from_the_start}.get(security, {}))

    def __enter__(self) -> Self:
        self._configure()
        self._postfix("start")
        return self


@pytest.fixture(params=list(Security), ids=lambda security: SCHEMES[security])
def debians_postfix(request: pytest.FixtureRequest) -> Iterator[tuple[Security, Postfix]]:
    if (reason := postfix.reason_to_skip()) is not None:
        pytest.skip(reason)
    with DebiansPostfix(request.param) as relay:
        yield request.param, relay


@pytest.mark.thorough
async def test_a_message_goes_out_through_postfix(pupil: Pupil, debians_postfix: tuple[Security, Postfix]) -> None:
    security, relay = debians_postfix
    pupil.environ["MAILER_SMTP_URL"] = f"{SCHEMES[security]}://127.0.0.1:{relay.port}"
    pupil.trusts(certificates.good())
    await sends_to_ann(pupil, security)
    assert "to=<ann@example.com>" in relay.log


@every_security
def test_without_a_port_it_is_the_usual_one(security: Security) -> None:
    route = parse_smtp_url(f"{SCHEMES[security]}://smtp.example.com")
    assert (route.port, route.security) == (PORTS[security], security)


@pytest.mark.thorough
@every_security
async def test_the_usual_port_is_really_used(pupil: Pupil, security: Security) -> None:
    shows = certificates.issue(OWN_ADDRESS)
    async with AsyncExitStack() as stack:
        server = MailServer(security, host=OWN_ADDRESS, port=PORTS[security], shows=shows)
        try:
            await stack.enter_async_context(server)
        except OSError as error:
            pytest.skip(f"port {PORTS[security]} of {OWN_ADDRESS} cannot be had: {error.strerror}")
        pupil.environ["MAILER_SMTP_URL"] = f"{SCHEMES[security]}://{OWN_ADDRESS}"
        pupil.trusts(shows)
        await sends_to_ann(pupil, security)
        assert server.recipients == ["ann@example.com"]


@pytest.fixture
def deaf() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.mark.thorough
async def test_a_time_limit_is_a_setting(pupil: Pupil, deaf: socket.socket) -> None:
    """`smtplib.SMTP(host, timeout=…)`."""
    pupil.environ |= {
        "MAILER_SMTP_URL": f"smtp+starttls://127.0.0.1:{deaf.getsockname()[1]}",
        "MAILER_SMTP__CONNECT_TIMEOUT": "0.2",
    }
    error = (await pupil.mailer("send", "--yes", "--json")).error
    assert (error["code"], error["retryable"]) == ("E433", True)
