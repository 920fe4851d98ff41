"""Provider presets: a name and a user instead of a URL."""

from pathlib import Path
from typing import Any

import pytest

from mailer.config.loading import load
from mailer.config.orders import orders_of
from mailer.config.route import route_of
from mailer.policy.providers import PROVIDERS, provider_of, provider_url, receiver_of
from mailer.policy.smtp_url import parse_smtp_url
from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.route import Route, Security
from tests.diagnosis.command_line import CommandLine


def loaded(place: Path, toml: str, **environ: str) -> Any:
    (place / "mailer.toml").write_text(toml)
    return load(None, environ=environ)


def test_a_preset_is_a_plain_url_behind_the_configuration(place: Path) -> None:
    configuration = loaded(place, '[smtp]\nprovider = "gmail"\nuser = "you@gmail.com"\n')
    assert configuration.smtp.url == "smtp+starttls://you%40gmail.com@smtp.gmail.com:587"
    assert configuration.origin["smtp.url"] == "mailer.toml, provider gmail"
    assert route_of(configuration.smtp) == Route(
        host="smtp.gmail.com", port=587, security=Security.STARTTLS, user="you@gmail.com"
    )


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_every_preset_is_protected_and_found_again_by_its_host(name: str) -> None:
    provider = PROVIDERS[name]
    route = parse_smtp_url(provider_url(f"{name}-eu-west-1" if name == "ses" else name, "user"))
    assert route.security is not Security.PLAIN
    assert (route.security is Security.TLS) is (route.port == 465)
    assert provider_of(route.host) is provider
    assert provider.catch
    assert provider.help_url.startswith("https://")


def test_a_fixed_login_needs_no_user() -> None:
    assert provider_url("sendgrid", None) == "smtp+starttls://apikey@smtp.sendgrid.net:587"
    assert provider_url("Resend", None) == "smtps://resend@smtp.resend.com:465"


@pytest.mark.parametrize("region", ["eu-west-1", "us-gov-west-1", "ap-southeast-2"])
def test_a_region_is_the_end_of_a_presets_name(region: str) -> None:
    assert provider_url(f"ses-{region}", "AKIA") == f"smtp+starttls://AKIA@email-smtp.{region}.amazonaws.com:587"


@pytest.mark.parametrize(
    ("domain", "receiver"),
    [
        ("gmail.com", "Gmail"),
        ("googlemail.com", "Gmail"),
        ("hotmail.com", "Outlook.com"),
        ("hotmail.co.uk", "Outlook.com"),
        ("outlook.com.br", "Outlook.com"),
        ("live.nl", "Outlook.com"),
        ("yahoo.co.jp", "Yahoo"),
        ("me.com", "iCloud"),
        ("acme.example", "acme.example"),
        ("me.example", "me.example"),
        ("outlook.acme.example", "outlook.acme.example"),
    ],
)
def test_who_takes_the_mail_of_a_domain_has_a_name(domain: str, receiver: str) -> None:
    assert receiver_of(domain) == receiver


@pytest.mark.parametrize(
    ("toml", "code", "words", "hint"),
    [
        ('provider = "gmail"\nurl = "smtps://h"\n', "E101", "two mail servers", "keep one"),
        ('provider = "gmial"\nuser = "a"\n', "E101", "no provider 'gmial'", 'provider = "gmail"'),
        ('provider = "gmail"\n', "E105", "smtp.user is not set", "user ="),
        ('provider = "ses"\nuser = "a"\n', "E101", "region", 'provider = "ses-eu-west-1"'),
        ('provider = "ses-eu-west-1.evil.example"\nuser = "a"\n', "E101", "region", "ses-eu-west-1"),
        ('provider = "gmail-eu-west-1"\nuser = "a"\n', "E101", "no provider", "gmail"),
        ('user = "a"\n', "E101", "goes with smtp.provider", "smtp+starttls://user@host:587"),
        ('url = "smtps://h"\nuser = "a"\n', "E101", "goes with smtp.provider", "smtp+starttls://user@host:587"),
        ('provider = "gmail"\nuser = "a\\nb"\n', "E102", "control character", "smtp"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(place: Path, toml: str, code: str, words: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        loaded(place, f"[smtp]\n{toml}")
    assert caught.value.code == code
    assert words in caught.value.message
    assert hint in str(caught.value.hint)
    assert str(caught.value.where).startswith("mailer.toml:")


def test_a_url_from_a_higher_place_leads_past_the_preset(place: Path) -> None:
    configuration = loaded(
        place, '[smtp]\nprovider = "gmail"\nuser = "a"\n', MAILER_SMTP_URL="smtp+starttls://localhost:1025"
    )
    assert (configuration.smtp.url, configuration.smtp.provider) == ("smtp+starttls://localhost:1025", None)


def test_a_preset_from_a_higher_place_counts_for_a_worker_too(place: Path) -> None:
    environ = {"MAILER_SMTP__PROVIDER": "sendgrid", "MAILER_SMTP_PASSWORD": "p"}
    configuration = loaded(place, '[smtp]\nurl = "smtps://h"\n', **environ)
    assert configuration.explicit("smtp")["url"] == "smtp+starttls://apikey@smtp.sendgrid.net:587"
    orders = orders_of(configuration, environ, queue_url="unix:///q")
    assert orders.smtp["url"] == configuration.smtp.url


async def test_config_show_names_the_preset(mailer: CommandLine, place: Path) -> None:
    (place / "mailer.toml").write_text('[smtp]\nprovider = "fastmail"\nuser = "me@fastmail.com"\n')
    settings = (await mailer("config", "show", "--json")).document["settings"]
    assert settings["smtp.provider"]["value"] == "fastmail"
    assert settings["smtp.url"]["value"] == "smtps://me%40fastmail.com@smtp.fastmail.com:465"
