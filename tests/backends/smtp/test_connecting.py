"""Opening a connection: protected or not at all, and every trouble with its name."""

import asyncio
import contextlib
import errno
import gc
import socket
import ssl
import warnings
import weakref
from typing import Any

import pytest

from mailer.backends.smtp.client import Client
from mailer.backends.smtp.connecting import Connector
from mailer.backends.smtp.diagnosis import diagnose
from mailer.vocabulary.errors import RelayError, UsageError
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.route import Route, Security
from tests.backends.smtp.sending import SETTINGS, Connect, send
from tests.relays import certificates
from tests.relays.scripted import ScriptedRelay
from tests.thorough import first

USER, PASSWORD = "news@client.test", "canary-password"
PROTECTED = [Security.STARTTLS, Security.TLS]


async def trouble(connect: Connect, route: Route, password: str | None = None, **changes: object) -> RelayError:
    with pytest.raises(RelayError) as error:
        await connect(route, password, **changes)
    assert PASSWORD not in repr(error.value.to_dict())
    return error.value


@pytest.mark.parametrize(
    ("security", "tls"), [(Security.PLAIN, None), (Security.STARTTLS, "TLSv1.3"), (Security.TLS, "TLSv1.3")]
)
async def test_a_connection_is_protected_as_the_route_says(
    connect: Connect, security: Security, tls: str | None
) -> None:
    async with ScriptedRelay(security) as relay:
        transmission = await send(await connect(relay))
        assert (transmission.tls, transmission.refused) == (tls, {})
        assert all(event.is_protected is (tls is not None) for event in relay.events if event.verb == "MAIL")
        assert relay.events[0].argument == "client.test"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_an_address_is_verified_like_a_name(connect: Connect, host: str) -> None:
    async with ScriptedRelay() as relay:
        assert (await send(await connect(relay.route(host)))).refused == {}


async def test_without_starttls_not_a_word_more_is_said(connect: Connect) -> None:
    async with ScriptedRelay(logins={USER: PASSWORD}) as relay:
        relay.strips_starttls = True
        error = await trouble(connect, relay.route(user=USER), PASSWORD)
        assert (error.code, error.retryable) == ("E424", False)
        assert relay.heard == b"EHLO client.test\r\n"


async def test_a_refused_starttls_is_not_gone_round(connect: Connect) -> None:
    async with ScriptedRelay(logins={USER: PASSWORD}) as relay:
        relay.answers("STARTTLS", b"454 4.7.0 TLS not available\r\n", times=1)
        assert (await trouble(connect, relay.route(user=USER), PASSWORD)).retryable
        relay.answers("STARTTLS", b"502 5.5.1 no such command\r\n")
        error = await trouble(connect, relay.route(user=USER), PASSWORD)
        assert (error.code, error.retryable) == ("E424", False)
        assert b"AUTH" not in relay.heard


async def test_what_was_offered_in_clear_text_does_not_count(connect: Connect) -> None:
    async with ScriptedRelay(size=1000) as relay:
        relay.injects_after_starttls = b"250-SIZE 5\r\n250 SMTPUTF8\r\n"
        session = await connect(relay)
        assert session.size_limit == 1000
        assert not session.offers_smtputf8
        assert (await send(session)).refused == {}


@pytest.mark.parametrize("security", PROTECTED)
@pytest.mark.parametrize(
    ("shows", "trusts", "code", "words"),
    [
        (certificates.issue(days=-1), None, "E422", "has expired"),
        (certificates.issue("elsewhere.test"), None, "E421", "is for elsewhere.test"),
        (certificates.issue(), certificates.good(), "E422", "unknown authority"),
    ],
    ids=["expired", "wrong name", "unknown authority"],
)
async def test_a_bad_certificate_is_never_accepted(
    connect: Connect,
    security: Security,
    shows: certificates.Certificates,
    trusts: certificates.Certificates | None,
    code: str,
    words: str,
) -> None:
    async with ScriptedRelay(security, shows=shows, logins={USER: PASSWORD}) as relay:
        route = relay.route(user=USER)
        if trusts is not None:
            relay.certificates = trusts
            route = relay.route(user=USER)
        error = await trouble(connect, route, PASSWORD)
        assert (error.code, error.retryable) == (code, False)
        assert words in error.message
        assert b"AUTH" not in relay.heard


async def test_outdated_encryption_is_refused(connect: Connect) -> None:
    context = certificates.good().server_context
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        handshake = asyncio.create_task(asyncio.to_thread(_shake_hands, listener, context))
        route = Route(host="127.0.0.1", port=port, security=Security.TLS, ca_pem=certificates.good().ca_pem)
        error = await trouble(connect, route)
        await handshake
    assert (error.code, error.retryable) == ("E425", False)


def _shake_hands(listener: socket.socket, context: ssl.SSLContext) -> None:
    # Not asyncio: its servers hang up without the alert that says why.
    client, _ = listener.accept()
    with client, contextlib.suppress(OSError), context.wrap_socket(client, server_side=True):
        pass


async def test_one_context_serves_all_connections_and_verifies() -> None:
    route = Route(host="relay.test", port=587, security=Security.STARTTLS)
    context = Connector(route, None, SETTINGS)._tls_context
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_an_authority_that_cannot_be_read_is_named() -> None:
    route = Route(host="relay.test", port=587, security=Security.STARTTLS, ca_pem="no certificate")
    with pytest.raises(RelayError, match="cannot be read") as error:
        Connector(route, None, SETTINGS)
    assert error.value.code == "E422"


def test_a_login_needs_tls() -> None:
    route = Route(host="relay.test", port=25, security=Security.PLAIN, user=USER)
    with pytest.raises(UsageError) as error:
        Connector(route, PASSWORD, SETTINGS)
    assert error.value.code == "E104"


def test_a_login_needs_a_password() -> None:
    route = Route(host="relay.test", port=587, security=Security.STARTTLS, user=USER)
    with pytest.raises(UsageError) as error:
        Connector(route, None, SETTINGS)
    assert error.value.code == "E113"


async def test_tls_at_a_port_that_speaks_starttls(connect: Connect) -> None:
    async with ScriptedRelay() as relay:
        error = await trouble(connect, relay.route(security=Security.TLS))
        assert (error.code, error.retryable) == ("E401", False)
        assert error.hint is not None
        assert error.hint.startswith(f"smtp+starttls://127.0.0.1:{relay.port}")


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.PLAIN])
def test_starttls_at_port_465(security: Security) -> None:
    route = Route(host="relay.test", port=465, security=security)
    for error in (TimeoutError(), ConnectionResetError()):
        found = diagnose(error, Phase.CONNECT, route, SETTINGS)
        assert (found.code, found.retryable, found.hint) == ("E402", False, "smtps://relay.test:465")


async def test_nothing_listens(connect: Connect) -> None:
    async with ScriptedRelay() as relay:
        route = relay.route()
    error = await trouble(connect, route)
    assert (error.code, error.retryable) == ("E431", True)
    error = await trouble(connect, relay.route("localhost"))
    assert error.code == "E431"


async def test_no_such_host(connect: Connect) -> None:
    error = await trouble(connect, Route(host="smpt.no-such.invalid", port=587, security=Security.STARTTLS))
    assert (error.code, error.retryable) == ("E432", True)


def test_a_name_server_that_does_not_answer_is_not_a_wrong_name() -> None:
    route = Route(host="relay.test", port=587, security=Security.STARTTLS)
    error = diagnose(socket.gaierror(socket.EAI_AGAIN, "try again"), Phase.CONNECT, route, SETTINGS)
    assert (error.code, error.retryable) == ("E432", True)
    assert "no such host" not in error.message


def test_a_network_that_is_away_is_no_silent_relay() -> None:
    route = Route(host="relay.test", port=587, security=Security.STARTTLS)
    error = diagnose(OSError(errno.ENETUNREACH, "Network is unreachable"), Phase.CONNECT, route, SETTINGS)
    assert (error.code, error.retryable, error.message) == ("E433", True, "relay.test:587 cannot be reached")


@pytest.mark.parametrize(
    ("reason", "code", "retryable"),
    [("TLSV1_ALERT_PROTOCOL_VERSION", "E425", False), ("SSLV3_ALERT_BAD_RECORD_MAC", "E435", True)],
)
def test_a_failed_handshake_is_told_from_a_bad_certificate(reason: str, code: str, retryable: bool) -> None:
    failure = ssl.SSLError(1, reason)
    failure.reason = reason
    route = Route(host="relay.test", port=587, security=Security.STARTTLS)
    error = diagnose(failure, Phase.TLS, route, SETTINGS)
    assert (error.code, error.retryable) == (code, retryable)


@pytest.mark.parametrize(("name", "said"), [("mail-1.client.test", "mail-1.client.test"), ("my_host", "[127.0.0.1]")])
async def test_the_host_name_is_said_if_it_is_one(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: name)
    async with ScriptedRelay() as relay:
        await connect(relay, local_hostname=None)
        assert relay.events[0].argument == said


async def test_a_host_that_cannot_be_one(connect: Connect) -> None:
    error = await trouble(connect, Route(host="smpt." + 70 * "x" + ".test", port=587, security=Security.STARTTLS))
    assert (error.code, error.hint) == ("E432", "did you mean smtp." + 70 * "x" + ".test?")


@pytest.mark.parametrize("at", first(2, ["GREETING", "EHLO", "STARTTLS", "AUTH"]))
async def test_silence_ends_with_a_timeout(connect: Connect, at: str) -> None:
    async with ScriptedRelay(logins={USER: PASSWORD}) as relay:
        relay.hangs_at(at)
        error = await trouble(connect, relay.route(user=USER), PASSWORD, connect_timeout=0.3, command_timeout=0.3)
        assert (error.code, error.retryable) == ("E433", True)


def test_silence_at_port_25_has_a_likely_reason() -> None:
    route = Route(host="relay.test", port=25, security=Security.PLAIN)
    error = diagnose(TimeoutError(), Phase.CONNECT, route, SETTINGS)
    assert (error.code, error.why) == ("E433", "Many networks block port 25.")


@pytest.mark.parametrize("at", ["GREETING", "EHLO", "STARTTLS", "AUTH"])
async def test_a_cut_is_route_trouble(connect: Connect, at: str) -> None:
    async with ScriptedRelay(logins={USER: PASSWORD}) as relay:
        relay.drops_at(at)
        error = await trouble(connect, relay.route(user=USER), PASSWORD)
        assert (error.code, error.retryable) == ("E435", True)


@pytest.mark.parametrize("at", ["GREETING", "EHLO", "AUTH"])
@pytest.mark.parametrize("reply", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"220-" + 100_000 * b"x" + b"\r\n"])
async def test_what_is_not_smtp_is_route_trouble(connect: Connect, at: str, reply: bytes) -> None:
    async with ScriptedRelay(logins={USER: PASSWORD}) as relay:
        relay.answers(at, reply)
        error = await trouble(connect, relay.route(user=USER), PASSWORD)
        assert (error.code, error.retryable) == ("E435", True)


@pytest.mark.parametrize(
    ("at", "reply", "code", "retryable"),
    [
        ("GREETING", b"554 5.7.1 no service\r\n", "E434", True),
        ("GREETING", b"421 4.7.0 too many connections\r\n", "E434", True),
        ("GREETING", b"521 no mail here\r\n", "E434", False),
        ("EHLO", b"550 5.7.1 helo rejected\r\n", "E434", False),
        ("EHLO", b"502 5.5.1 what?\r\n", "E434", False),
        ("EHLO", b"421 4.3.2 closing\r\n", "E434", True),
    ],
)
async def test_a_relay_that_does_not_want_us_is_quoted(
    connect: Connect, at: str, reply: bytes, code: str, retryable: bool
) -> None:
    async with ScriptedRelay() as relay:
        relay.answers(at, reply)
        error = await trouble(connect, relay.route())
        assert (error.code, error.retryable) == (code, retryable)
        assert reply.decode().strip() in error.message


async def test_a_relay_that_requires_starttls_says_so(connect: Connect) -> None:
    async with ScriptedRelay(Security.PLAIN) as relay:
        relay.answers("EHLO", b"530 5.7.0 Must issue a STARTTLS command first\r\n")
        error = await trouble(connect, relay.route())
        assert (error.code, error.retryable) == ("E423", False)


async def test_hostile_words_of_the_relay_are_made_safe(connect: Connect) -> None:
    async with ScriptedRelay() as relay:
        relay.answers("GREETING", b"554 \x1b[2J \xff no\r\n")
        error = await trouble(connect, relay.route())
        assert "\x1b" not in error.message
        error.message.encode()


async def test_cancelled_while_connecting_nothing_is_left(connect: Connect) -> None:
    async with ScriptedRelay() as relay:
        relay.hangs_at("EHLO")
        opening = asyncio.create_task(connect(relay))
        await relay.seen("EHLO")
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await relay.left_by_everybody()


async def test_what_has_opened_a_connection_is_gone_with_it(
    relay: ScriptedRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS has half a megabyte a connection: it must not wait until the garbage collector looks for it."""
    opened: list[weakref.ref[Client]] = []
    make = Connector.client

    def made(self: Connector, *args: Any, **options: Any) -> Client:
        client = make(self, *args, **options)
        opened.append(weakref.ref(client))
        return client

    monkeypatch.setattr(Connector, "client", made)
    gc.disable()
    try:
        async with await Connector(relay.route(), None, SETTINGS).open() as session:
            await send(session)
        assert [client() for client in opened] == [None]
    finally:
        gc.enable()
