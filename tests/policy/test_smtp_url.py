"""Promises of the SMTP URL."""

import traceback
from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.policy.smtp_url import format_smtp_url, parse_smtp_url
from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.route import Route, Security

CANARY = "hunter2canary"

_labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
_hosts = st.one_of(
    st.lists(_labels, min_size=1, max_size=4).map(".".join),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: str(IPv6Address(int(address)))),
)
_users = st.text(min_size=1, max_size=30).filter(str.isprintable)
_ports = st.integers(1, 65535)
_routes = st.one_of(
    st.builds(
        Route,
        host=_hosts,
        port=_ports,
        security=st.sampled_from([Security.STARTTLS, Security.TLS]),
        user=st.none() | _users,
    ),
    st.builds(Route, host=_hosts, port=_ports, security=st.just(Security.PLAIN)),
)


@pytest.mark.parametrize(
    ("url", "security", "user", "relay"),
    [
        ("smtp+starttls://ann@smtp.acme.example:2587", Security.STARTTLS, "ann", "smtp.acme.example:2587"),
        ("smtp+starttls://smtp.acme.example", Security.STARTTLS, None, "smtp.acme.example:587"),
        ("submission://ann@smtp.acme.example", Security.STARTTLS, "ann", "smtp.acme.example:587"),
        ("smtps://ann@smtp.acme.example", Security.TLS, "ann", "smtp.acme.example:465"),
        ("smtp+insecure://localhost", Security.PLAIN, None, "localhost:25"),
        ("smtp+insecure://127.0.0.1:1025/", Security.PLAIN, None, "127.0.0.1:1025"),
        ("SMTPS://SMTP.Acme.Example", Security.TLS, None, "smtp.acme.example:465"),
        ("smtps://news%40acme.example@smtp.acme.example", Security.TLS, "news@acme.example", "smtp.acme.example:465"),
        ("smtps://a%3Ab%2Fc@smtp.acme.example", Security.TLS, "a:b/c", "smtp.acme.example:465"),
        ("smtps://[::1]", Security.TLS, None, "[::1]:465"),
        ("smtp+starttls://ann@[2001:DB8::1]:1587", Security.STARTTLS, "ann", "[2001:db8::1]:1587"),
    ],
)
def test_a_url_says_protection_login_and_relay(url: str, security: Security, user: str | None, relay: str) -> None:
    route = parse_smtp_url(url, ca_pem="PEM")

    assert (route.security, route.user, route.relay, route.ca_pem) == (security, user, relay, "PEM")


@given(_routes)
def test_a_route_survives_being_written_as_a_url(route: Route) -> None:
    assert parse_smtp_url(format_smtp_url(route)) == route


@given(st.text() | st.from_regex(r"smtps?(\+insecure)?://[a-z@:%/\[\]0-9.]*", fullmatch=True))
def test_any_text_is_a_route_or_a_usage_error(text: str) -> None:
    try:
        route = parse_smtp_url(text)
    except UsageError as error:
        assert error.code in {"E102", "E103", "E104"}  # noqa: PT017  # both ends are right
    else:
        assert parse_smtp_url(format_smtp_url(route)) == route


def test_bare_smtp_is_refused_with_the_three_forms_as_the_fix() -> None:
    with pytest.raises(UsageError, match="does not say how the connection is protected") as caught:
        parse_smtp_url("smtp://ann@smtp.acme.example:587")

    assert caught.value.code == "E102"
    for form in ("smtp+starttls://smtp.acme.example:587", "smtps://smtp.acme.example:465", "smtp+insecure://"):
        assert form in str(caught.value.hint)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "does not begin with a scheme"),
        ("smtp.acme.example:587", "does not begin with a scheme"),
        ("https://smtp.acme.example", "https:// is not an SMTP URL"),
        ("smtps://", "names no host"),
        ("smtps://:465", "names no host"),
        ("smtps://ann@", "names no host"),
        ("smtps://@host", "no user before it"),
        ("smtps://host:", "port"),
        ("smtps://host:0", "port"),
        ("smtps://host:65536", "port"),
        ("smtps://host:٤٦٥", "port"),
        ("smtps://host:+25", "port"),
        ("smtps://host/inbox", "goes on after the host"),
        ("smtps://host?timeout=3", "goes on after the host"),
        ("smtps://host#x", "goes on after the host"),
        ("smtps://::1:465", "more than a host and a port"),
        ("smtps://[::1", "more than a host and a port"),
        ("smtps://[::g]", "not an IPv6 address"),
        ("smtps://[fe80::1%eth0]", "not an IPv6 address"),
        ("smtps://[]", "not an IPv6 address"),
        ("smtps://-host", "not a host name"),
        ("smtps://ho%73t", "not a host name"),
        ("smtps://müller.example", "not ASCII"),
        ("smtps://host\r\nRSET", "control character"),
        ("smtps://host ", "a space"),
        ("smtps://news@acme.example@host", "not percent-encoded"),
        ("smtps://50%@host", "not percent-encoded"),
        ("smtps://%ff@host", "not percent-encoded UTF-8"),
        ("smtps://ann%0d%0aRSET@host", "control character"),
        ("smtps://ann%00@host", "control character"),
    ],
)
def test_what_is_no_smtp_url_is_named_and_mended(url: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_smtp_url(url)

    assert caught.value.code == "E102"
    assert caught.value.hint


@pytest.mark.parametrize("url", ["smtp+insecure://ann@host", "smtp+insecure://ann@[::1]:25"])
def test_a_login_in_clear_text_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="clear text") as caught:
        parse_smtp_url(url)

    assert caught.value.code == "E104"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        (f"smtps://ann:{CANARY}@host", "E103"),
        (f"smtp://ann:{CANARY}@host", "E103"),
        (f"smtp+insecure://ann:{CANARY}@host", "E103"),
        (f"ann:{CANARY}@host", "E103"),
        (f"smtps://ann:{CANARY}/x@host:port", "E103"),
        (f"smtps://ann:a@{CANARY}@host", "E103"),
        (f"smtps://ann:a@{CANARY}", "E103"),
        (f"smtps://:{CANARY}@host\n", "E103"),
        (f"smtps://ann:{CANARY}", "E102"),
        (f"smtp://ann:{CANARY}", "E102"),
        (f"smtps://ann@host:{CANARY}", "E102"),
        (f"smtps://host?password={CANARY}", "E102"),
    ],
)
def test_a_password_in_the_url_is_refused_and_never_repeated(url: str, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_smtp_url(url)

    assert caught.value.code == code
    assert CANARY not in repr(vars(caught.value)) + "".join(traceback.format_exception(caught.value))
