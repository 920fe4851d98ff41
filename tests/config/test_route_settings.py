"""Promises about the route made from settings, and about settings that are stored with a campaign."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import trustme

from mailer.config.keys import DEFAULTS
from mailer.config.loading import load
from mailer.config.route import route_of
from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.route import Route, Security
from mailer.vocabulary.settings import SmtpSettings


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def test_the_route_carries_the_certificates_and_nothing_else_of_the_file(tmp_path: Path, authority: trustme.CA) -> None:
    certificate = authority.cert_pem.bytes().decode()
    both = tmp_path / "both.pem"
    both.write_text(f"# Müller CA\r\n{authority.private_key_pem.bytes().decode()}{certificate}", encoding="utf-8")

    route = route_of(SmtpSettings(url="smtps://ann@host", ca_file=both))

    assert route == Route(host="host", port=465, security=Security.TLS, user="ann", ca_pem=certificate)
    assert route_of(SmtpSettings(url="smtps://host")).ca_pem is None


def test_without_a_url_it_says_how_to_set_one() -> None:
    with pytest.raises(UsageError, match="no mail server is set") as caught:
        route_of(SmtpSettings())

    assert caught.value.code == "E105"
    for way in ("smtp.url in mailer.toml", "MAILER_SMTP_URL=", "mailer capture", "mailer demo"):
        assert way in str(caught.value.hint)


def test_a_bad_certificate_file_is_named(tmp_path: Path, authority: trustme.CA) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(authority.private_key_pem.bytes())
    damaged = tmp_path / "damaged.pem"
    damaged.write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", encoding="utf-8")
    binary = tmp_path / "binary.der"
    binary.write_bytes(bytes(range(256)))

    for path, code in (
        (tmp_path / "none.pem", "E108"),
        (tmp_path, "E108"),
        (key, "E107"),
        (damaged, "E107"),
        (binary, "E107"),
    ):
        with pytest.raises(UsageError, match=path.name) as caught:
            route_of(SmtpSettings(url="smtps://host", ca_file=path))
        assert caught.value.code == code


@pytest.mark.parametrize("defaults", DEFAULTS.values())
def test_settings_survive_being_stored(defaults: object) -> None:
    plain = msgspec.to_builtins(defaults)

    assert msgspec.convert(plain, type(defaults)) == defaults
    assert msgspec.json.decode(msgspec.json.encode(plain), type=type(defaults)) == defaults


def test_loaded_settings_survive_being_stored_without_their_paths(tmp_path: Path) -> None:
    campaign = tmp_path / "mailer.toml"
    campaign.write_text(
        '[smtp]\nurl = "smtps://host"\nca_file = "ca.pem"\nidle_timeout = "20s"\n[delivery]\nretry_delays = ["1m", 90]',
        encoding="utf-8",
    )
    loaded = load(campaign, environ={})

    for settings in (replace(loaded.smtp, ca_file=None), loaded.delivery, loaded.campaign):
        stored = msgspec.json.encode(settings)
        assert msgspec.json.decode(stored, type=type(settings)) == settings


def test_what_a_worker_was_given_wins_over_what_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stored = SmtpSettings(url="smtps://stored", max_connections=9, idle_timeout=3)
    worker = load(None, environ={"MAILER_SMTP_URL": "smtps://own"}, flags={"smtp.max_connections": 2})

    assert replace(stored, **worker.explicit("smtp")) == SmtpSettings(
        url="smtps://own", max_connections=2, idle_timeout=3
    )
