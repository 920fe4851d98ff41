"""Provider presets: a name and a user instead of a URL."""

from pathlib import Path
from typing import Any

import pytest

from mailer.config.loading import load
from mailer.config.orders import orders_of
from mailer.config.route import route_of
from mailer.policy.providers import PROVIDERS, provider_of, provider_url
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
    if provider.host is None:
        with pytest.raises(UsageError) as caught:
            provider_url(name, "user")
        assert provider.template is not None
        assert provider.template in str(caught.value.hint)
        host = parse_smtp_url(provider.template).host
    else:
        route = parse_smtp_url(provider_url(name, "user"))
        assert route.security is not Security.PLAIN
        assert (route.security is Security.TLS) is (route.port == 465)
        host = route.host
    assert provider_of(host) is provider
    assert provider.catch
    assert provider.help_url.startswith("https://")


def test_a_fixed_login_needs_no_user() -> None:
    assert provider_url("sendgrid", None) == "smtp+starttls://apikey@smtp.sendgrid.net:587"
    assert provider_url("Resend", None) == "smtps://resend@smtp.resend.com:465"


@pytest.mark.parametrize(
    ("toml", "code", "words", "hint"),
    [
        ('provider = "gmail"\nurl = "smtps://h"\n', "E101", "two mail servers", "keep one"),
        ('provider = "gmial"\nuser = "a"\n', "E101", "no provider 'gmial'", 'provider = "gmail"'),
        ('provider = "gmail"\n', "E105", "smtp.user is not set", "user ="),
        ('provider = "ses"\nuser = "a"\n', "E101", "region", "email-smtp."),
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
