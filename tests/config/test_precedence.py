"""Promises of loading: who wins, where a value came from, what paths are relative to."""

import sys
from pathlib import Path
from subprocess import run

import pytest

from mailer.config.keys import DEFAULTS, KEYS, VARIABLES
from mailer.config.limits import form_missed
from mailer.config.loading import load
from mailer.vocabulary.errors import UsageError

from .conftest import Write

LAYERS = ("flag", "environment", "env file", "campaign", "user")
"""From the strongest to the weakest."""


@pytest.mark.parametrize("strongest", range(len(LAYERS) + 1))
def test_the_strongest_layer_wins(strongest: int, folder: Path, write: Write) -> None:
    given = LAYERS[strongest:]
    home = {"HOME": str(folder / "home")}
    if "user" in given:
        write("home/.config/mailer/config.toml", "[smtp]\nmax_connections = 15")
    campaign = write("mailer.toml", "[smtp]\nmax_connections = 14" if "campaign" in given else "")
    env_file = write("prod.env", "MAILER_SMTP__MAX_CONNECTIONS=13" if "env file" in given else "")
    environ = home | ({"MAILER_SMTP__MAX_CONNECTIONS": "12"} if "environment" in given else {})
    flags = {"smtp.max_connections": 11 if "flag" in given else None}

    configuration = load(campaign, flags=flags, environ=environ, env_file=env_file)

    value, origin = [
        (11, "flag --connections"),
        (12, "environment MAILER_SMTP__MAX_CONNECTIONS"),
        (13, "prod.env MAILER_SMTP__MAX_CONNECTIONS"),
        (14, "mailer.toml"),
        (15, str(folder / "home/.config/mailer/config.toml")),
        (5, "default"),
    ][strongest]
    assert configuration.smtp.max_connections == value
    assert configuration.origin["smtp.max_connections"] == origin
    assert configuration.explicit("smtp") == ({"max_connections": value} if strongest < 3 else {})


def test_layers_are_merged_key_by_key(write: Write) -> None:
    campaign = write(
        "mailer.toml", '[smtp]\nidle_timeout = "5s"\n[campaign]\nname = "news"\n[campaign.headers]\nA = "1"'
    )
    user = write("user.toml", '[smtp]\nidle_timeout = 9\nmax_connections = 3\n[campaign.headers]\nA = "2"\nB = "3"')

    configuration = load(campaign, environ={"MAILER_CONFIG": str(user)})

    assert (configuration.smtp.idle_timeout, configuration.smtp.max_connections) == (5.0, 3)
    assert configuration.campaign.headers == {"A": "1", "B": "3"}
    assert configuration.origin["campaign.headers"] == "mailer.toml and user.toml"


def test_without_any_source_everything_is_at_its_default(folder: Path) -> None:
    configuration = load(None, environ={})

    assert {name: getattr(configuration, name) for name in DEFAULTS} == dict(DEFAULTS)
    assert set(configuration.origin) == set(KEYS)
    assert set(configuration.origin.values()) == {"default"}
    assert (configuration.base, configuration.path) == (folder, None)


@pytest.mark.parametrize("key", KEYS)
def test_every_default_is_within_its_limits(key: str) -> None:
    assert form_missed(key, KEYS[key]) is None


@pytest.mark.parametrize(
    ("variable", "text", "key", "value"),
    [
        ("MAILER_REDIS_URL", "unix:///run/redis.sock", "queue.url", "unix:///run/redis.sock"),
        ("MAILER_SMTP_URL", "smtps://host", "smtp.url", "smtps://host"),
        ("MAILER_SMTP_CA_FILE", "/etc/ca.pem", "smtp.ca_file", Path("/etc/ca.pem")),
        ("MAILER_DATA_DIR", "/var/lib/mailer", "queue.data_dir", Path("/var/lib/mailer")),
        ("MAILER_QUEUE__ALLOW_PLAIN", "yes", "queue.allow_plain", True),
        ("MAILER_QUEUE__HIGH_WATER", "1GiB", "queue.high_water", 2**30),
        ("MAILER_QUEUE__HIGH_WATER", "300000000", "queue.high_water", 300000000),
        ("MAILER_SMTP__IDLE_TIMEOUT", "2m", "smtp.idle_timeout", 120.0),
        ("MAILER_SMTP__IDLE_TIMEOUT", "2.5", "smtp.idle_timeout", 2.5),
        ("MAILER_DELIVERY__RETRY_DELAYS", "5m, 15m,60", "delivery.retry_delays", (300.0, 900.0, 60.0)),
        ("MAILER_DELIVERY__RETRY_DELAYS", '["5m", 60]', "delivery.retry_delays", (300.0, 60.0)),
        ("MAILER_DELIVERY__RETRY_DELAYS", "5m", "delivery.retry_delays", (300.0,)),
        ("MAILER_CAMPAIGN__HEADERS", '{"X-Team": "a"}', "campaign.headers", {"X-Team": "a"}),
        ("MAILER_CAMPAIGN__SUBJECT", "2026", "campaign.subject", "2026"),
    ],
)
def test_a_variable_is_read_as_its_setting(variable: str, text: str, key: str, value: object, folder: Path) -> None:
    section, _, name = key.partition(".")

    configuration = load(None, environ={variable: text})

    assert getattr(getattr(configuration, section), name) == value
    assert configuration.origin[key] == f"environment {variable}"
    assert configuration.explicit(section) == {name: value}


def test_every_setting_has_a_variable() -> None:
    assert set(VARIABLES.values()) == set(KEYS)


def test_nothing_but_the_environment_it_is_given_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP", '{"max_connections": 7}')
    monkeypatch.setenv("MAILER_SMTP__MAX_CONNECTIONS", "7")

    assert set(load(None, environ={}).origin.values()) == {"default"}


def test_an_empty_variable_is_not_set(folder: Path) -> None:
    assert load(None, environ={"MAILER_SMTP_URL": "", "MAILER_CONFIG": ""}).smtp.url is None


@pytest.mark.parametrize(
    "name",
    ["MAILER_SMTP_PASSWORD_FILE", "MAILER_FAILPOINTS", "MAILER_DASHBOARD_TOKEN", "MAILER_TOKEN_SECRET", "MAILER_DSN"],
)
def test_variables_that_are_no_settings_are_left_alone(name: str, folder: Path) -> None:
    assert set(load(None, environ={name: "x"}).origin.values()) == {"default"}


def test_the_env_file_is_read_only_when_named_and_taken_literally(write: Write) -> None:
    env_file = write(".env", "export MAILER_CAMPAIGN__SUBJECT='${HOME} $x'\nOTHER=1\n")

    assert load(None, environ={"HOME": "/h"}).campaign.subject is None
    assert load(None, environ={"HOME": "/h"}, env_file=env_file).campaign.subject == "${HOME} $x"


@pytest.mark.parametrize("named", ["october", "october/mailer.toml", "october/other.toml", "project", None])
def test_a_campaign_is_a_file_a_folder_a_project_or_here(named: str | None, folder: Path, write: Write) -> None:
    for name in ("mailer.toml", "october/mailer.toml", "october/other.toml"):
        write(name, f'[campaign]\nname = "x"\nsubject = "{name}"')
    write("project/pyproject.toml", '[project]\nname = "p"\n[tool.mailer.campaign]\nsubject = "project/pyproject.toml"')
    campaign = None if named is None else Path(named)

    configuration = load(campaign, environ={})

    assert configuration.campaign.subject == str(configuration.path)
    assert configuration.base == (folder / str(configuration.path)).parent


def test_a_project_without_our_table_is_nobodys_campaign(write: Write) -> None:
    project = write("pyproject.toml", "[project]\nname = 'p'")

    assert load(None, environ={}).path is None
    with pytest.raises(UsageError, match=r"no table \[tool\.mailer\]"):
        load(project, environ={})


def test_paths_are_relative_to_the_place_that_names_them(folder: Path, write: Write) -> None:
    campaign = write("october/mailer.toml", '[smtp]\nca_file = "ca.pem"\n[campaign]\nrecipients = "list.csv"')
    user = write("home/user.toml", '[queue]\ndata_dir = "state"')
    environ = {"MAILER_CONFIG": str(user)}

    from_files = load(campaign, environ=environ)
    from_flags = load(
        campaign, environ=environ | {"MAILER_SMTP_CA_FILE": "ca.pem"}, flags={"campaign.recipients": "a.csv"}
    )
    env_file = write("secret/.env", "MAILER_SMTP_CA_FILE=ca.pem\nMAILER_DATA_DIR=~/state")
    from_env_file = load(None, environ={"HOME": "/home/ann"}, env_file=env_file)

    assert from_files.smtp.ca_file == folder / "october/ca.pem"
    assert from_files.queue.data_dir == folder / "home/state"
    assert (from_files.campaign.recipients, from_files.folder_of("campaign.recipients")) == (
        "list.csv",
        folder / "october",
    )
    assert from_flags.smtp.ca_file == folder / "ca.pem"
    assert (from_flags.campaign.recipients, from_flags.folder_of("campaign.recipients")) == ("a.csv", folder)
    assert from_env_file.smtp.ca_file == folder / "secret/ca.pem"
    assert from_env_file.queue.data_dir == Path("/home/ann/state")


def test_the_users_file_follows_xdg(folder: Path, write: Write) -> None:
    write("xdg/mailer/config.toml", "[smtp]\nmax_connections = 2")

    assert load(None, environ={"XDG_CONFIG_HOME": str(folder / "xdg")}).smtp.max_connections == 2
    assert load(None, environ={"XDG_CONFIG_HOME": "xdg"}).smtp.max_connections == 5


def test_importing_the_room_loads_no_pydantic() -> None:
    program = "import sys, mailer.config.loading, mailer.config.route; sys.exit('pydantic' in sys.modules)"

    assert run([sys.executable, "-c", program], cwd=Path(__file__).parents[2], check=False).returncode == 0
