"""Provider presets: `provider = "gmail"` in the place of a host, a port and a way of protection to look up."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailer.backends.smtp.connecting import Connector
from mailer.config.loading import load
from mailer.config.route import route_of
from mailer.policy.providers import PROVIDERS
from mailer.vocabulary.errors import RelayError
from mailer.vocabulary.route import Route, Security
from tests.relays import certificates
from tests.thorough import first
from tests.tutorials.mail_server import MailServer

PASSWORD = "canary-77ab-password"
MESSAGE = b"Subject: hello\r\n\r\nHello.\r\n"
EXPECTED = {
    "gmail": ("smtp.gmail.com", 587, "app password"),
    "outlook": ("smtp-mail.outlook.com", 587, "OAuth"),
    "hotmail": ("smtp-mail.outlook.com", 587, "OAuth"),
    "office365": ("smtp.office365.com", 587, "administrator"),
    "yahoo": ("smtp.mail.yahoo.com", 465, "app password"),
    "mailtrap": ("sandbox.smtp.mailtrap.io", 587, "sandbox"),
    "ses": ("email-smtp.eu-west-1.amazonaws.com", 587, "SMTP credentials"),
    "sendgrid": ("smtp.sendgrid.net", 587, '"apikey"'),
    "postmark": ("smtp.postmarkapp.com", 587, "API token"),
    "mailgun": ("smtp.mailgun.org", 587, "smtp.eu.mailgun.org"),
    "resend": ("smtp.resend.com", 465, '"resend"'),
    "fastmail": ("smtp.fastmail.com", 465, "app password"),
    "icloud": ("smtp.mail.me.com", 587, "app-specific password"),
    "zoho": ("smtp.zoho.com", 465, "smtppro.zoho.com"),
}
"""Preset to host, port, and a word of the catch that everybody meets once."""
every_preset = pytest.mark.parametrize("name", sorted(PROVIDERS))
some_presets = pytest.mark.parametrize("name", first(4, sorted(PROVIDERS)))
Leads = Callable[[Route, MailServer], None]


@pytest.fixture
def leads(monkeypatch: pytest.MonkeyPatch) -> Leads:
    """A name server of the test's own, which knows a provider's host to be the server on this machine."""

    def lead(route: Route, server: MailServer) -> None:
        ask = socket.getaddrinfo

        def answer(host: Any, port: Any, *rest: Any, **options: Any) -> Any:
            if (host, port) == (route.host, route.port):
                host, port = server.host, server.port
            return ask(host, port, *rest, **options)

        monkeypatch.setattr(socket, "getaddrinfo", answer)

    return lead


def settings_of(name: str, folder: Path) -> Any:
    preset = f"{name}-eu-west-1" if name == "ses" else name
    user = "" if PROVIDERS[name].login else 'user = "me"\n'
    (folder / "mailer.toml").write_text(f'[smtp]\nprovider = "{preset}"\n{user}')
    return load(folder / "mailer.toml", environ={}).smtp


def test_every_preset_is_expected_here() -> None:
    assert set(EXPECTED) == set(PROVIDERS)


@every_preset
def test_a_preset_is_host_port_and_protection(name: str, tmp_path: Path) -> None:
    route = route_of(settings_of(name, tmp_path))
    host, port, catch = EXPECTED[name]
    assert (route.host, route.port) == (host, port)
    assert route.security is (Security.TLS if port == 465 else Security.STARTTLS)
    assert catch in PROVIDERS[name].catch


@some_presets
async def test_a_preset_leads_to_a_login_at_a_real_server(name: str, tmp_path: Path, leads: Leads) -> None:
    settings = settings_of(name, tmp_path)
    route = route_of(settings)
    user = route.user or ""
    async with MailServer(route.security, shows=certificates.issue(route.host), logins={user: PASSWORD}) as server:
        leads(route, server)
        trusting = Route(
            host=route.host, port=route.port, security=route.security, user=user, ca_pem=server.certificates.ca_pem
        )
        async with await Connector(trusting, PASSWORD, settings).open() as session:
            refused, _ = await session.sendmail("me@example.com", "ann@example.com", MESSAGE)
        assert (refused, server.users, server.recipients) == ({}, [user], ["ann@example.com"])


@some_presets
async def test_a_refused_login_tells_the_catch_of_the_provider(name: str, tmp_path: Path, leads: Leads) -> None:
    settings = settings_of(name, tmp_path)
    route = route_of(settings)
    async with MailServer(route.security, shows=certificates.issue(route.host), logins={"nobody": "x"}) as server:
        leads(route, server)
        trusting = Route(
            host=route.host,
            port=route.port,
            security=route.security,
            user=route.user,
            ca_pem=server.certificates.ca_pem,
        )
        with pytest.raises(RelayError) as caught:
            await Connector(trusting, PASSWORD, settings).open()
    error, provider = caught.value, PROVIDERS[name]
    assert (error.code, error.why) == ("E411", provider.catch)
    assert error.message.startswith(f"{provider.title} refused the login of {route.user} (535")
    assert error.hint == f"{provider.help_url}, then put it in MAILER_SMTP_PASSWORD"
