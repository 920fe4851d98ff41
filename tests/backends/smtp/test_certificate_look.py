"""A second look at a certificate that was not trusted: it names names, and trusts nobody because of them."""

import ssl

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from mailer.backends.smtp.connecting import Connector
from mailer.backends.smtp.issuer import issuer_of
from mailer.vocabulary.errors import RelayError
from mailer.vocabulary.route import Route, Security
from tests.backends.smtp.sending import SETTINGS
from tests.relays import certificates
from tests.relays.certificates import Certificates
from tests.relays.scripted import ScriptedRelay

USER, PASSWORD = "news@client.test", "canary-password"
PROTECTED = pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
DER = trustme.CA().issue_cert("relay.test").cert_chain_pems[0].bytes()


async def refused(route: Route) -> RelayError:
    connector = Connector(route, PASSWORD, SETTINGS)
    with pytest.raises(RelayError) as caught:
        await connector.open()
    with pytest.raises(RelayError) as again:
        await connector.open()
    assert again.value.message == caught.value.message
    return caught.value


def route_to(relay: ScriptedRelay, trusts: Certificates | None = None) -> Route:
    ca_pem = (trusts or relay.certificates).ca_pem
    return Route(host="127.0.0.1", port=relay.port, security=relay.route().security, user=USER, ca_pem=ca_pem)


@PROTECTED
async def test_the_names_of_a_verified_certificate_become_the_url_to_write(security: Security) -> None:
    shows = certificates.issue("*.acme.example", "smtp.acme.example", "mail.acme.example")
    async with ScriptedRelay(security, shows=shows, logins={USER: PASSWORD}) as relay:
        error = await refused(route_to(relay))
        scheme = "smtps" if security is Security.TLS else "smtp+starttls"
        assert error.message == f"the certificate of 127.0.0.1:{relay.port} is for smtp.acme.example"
        assert error.hint == (
            f"{scheme}://news%40client.test@smtp.acme.example:{relay.port}"
            "   (names: *.acme.example, smtp.acme.example, mail.acme.example)"
        )


@PROTECTED
async def test_an_unknown_authority_is_named(security: Security) -> None:
    async with ScriptedRelay(security, shows=certificates.issue(), logins={USER: PASSWORD}) as relay:
        error = await refused(route_to(relay, trusts=certificates.good()))
        assert error.code == "E422"
        assert "is signed by an unknown authority (O=trustme v" in error.message


@PROTECTED
async def test_the_names_of_an_unknown_authority_are_not_believed(security: Security) -> None:
    shows = certificates.issue("evil.example")
    async with ScriptedRelay(security, shows=shows, logins={USER: PASSWORD}) as relay:
        error = await refused(route_to(relay, trusts=certificates.good()))
        assert error.code == "E422"
        assert "evil.example" not in repr(error.to_dict())


async def test_it_looks_once_says_nothing_but_hello_and_never_logs_in() -> None:
    async with ScriptedRelay(shows=certificates.issue("elsewhere.test"), logins={USER: PASSWORD}) as relay:
        await refused(route_to(relay))
        await relay.left_by_everybody()
        assert relay.connections == 3, "two tries and one look"
        assert set(relay.verbs()) == {"EHLO", "STARTTLS"}
        assert not any(event.is_protected for event in relay.events)


async def test_an_error_needs_no_second_look_to_be_told() -> None:
    async with ScriptedRelay(shows=certificates.issue("elsewhere.test")) as relay:
        relay.answers("GREETING", b"220 hello\r\n", times=1)
        relay.answers("GREETING", b"554 5.3.2 not twice\r\n")
        connector = Connector(relay.route(), None, SETTINGS)
        with pytest.raises(RelayError) as caught:
            await connector.open()
        assert caught.value.code == "E421"
        assert "for another name than 127.0.0.1" in caught.value.message
        assert "openssl s_client" in str(caught.value.hint)


def test_an_issuer_is_read_from_the_bytes_of_a_certificate() -> None:
    der = ssl.PEM_cert_to_DER_cert(DER.decode())
    assert str(issuer_of(der)).startswith("O=trustme v")


@given(st.binary(max_size=300))
def test_bytes_that_are_no_certificate_have_no_issuer(der: bytes) -> None:
    assert issuer_of(der) is None or der[:1] == b"0"


@given(st.integers(min_value=0, max_value=400), st.binary(min_size=1, max_size=4))
def test_a_damaged_certificate_raises_nothing(place: int, damage: bytes) -> None:
    der = bytearray(ssl.PEM_cert_to_DER_cert(DER.decode()))
    der[place : place + len(damage)] = damage
    issuer_of(bytes(der))
