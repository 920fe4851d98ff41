"""Promises of loading about what is wrong: what, where, what is meant, and never a secret."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.config.environment import environment_layer
from mailer.config.loading import load
from mailer.vocabulary.errors import UsageError

from .conftest import Write

CANARY = "hunter2canary"


@pytest.mark.parametrize(
    ("text", "where", "message", "hint"),
    [
        ("[smtp]\nmax_conections = 3", "2", "[smtp] has no key max_conections", "did you mean max_connections?"),
        ("[smtp]\n\nidle-timeout = 3", "3", "[smtp] has no key idle-timeout", "did you mean idle_timeout?"),
        ("[campaign]\nmax_age = 3", "2", "[campaign] has no key max_age", "max_age belongs to [delivery]"),
        ("[smtp]\npassword = 'x'", "2", "[smtp] takes no password", "MAILER_SMTP_PASSWORD"),
        ("# smtp.zork\nsmtp.zork = 3", "2", "[smtp] has no key zork", "the keys of [smtp] are url"),
        ("[campaign]\nto = '''\nzork = 1\n'''\nzork = 1", "5", "[campaign] has no key zork", "the keys of"),
        ("[delivery]\nretry_delays = [\n  1,\n]\n'zork' = 1", "5", "[delivery] has no key zork", "the keys of"),
        ("queue = { prefix = 'a', zork = 1 }", "1", "[queue] has no key zork", "the keys of"),
        ("[campaign]\nto = '\u2028'\n[smpt]\n", "3", "there is no section [smpt]", "did you mean [smtp]?"),
        ("name = 'x'", "1", "there is no section [name]", "the sections are [campaign], [smtp]"),
        ("smtp = 3", "1", "smtp is not a table", "[smtp]"),
        ("[[smtp]]\nurl = 'x'", "1", "smtp is not a table", "[smtp]"),
    ],
)
def test_an_unknown_key_is_named_with_its_line_and_the_nearest(
    text: str, where: str, message: str, hint: str, write: Write
) -> None:
    with pytest.raises(UsageError) as caught:
        load(write("mailer.toml", text), environ={})

    assert (caught.value.code, caught.value.message, caught.value.where) == ("E101", message, f"mailer.toml:{where}")
    assert hint in str(caught.value.hint)


def test_a_key_of_a_project_is_found_below_its_table(write: Write) -> None:
    project = write("pyproject.toml", "[smtp]\nzork = 1\n[tool.mailer]\nsmtp.zork = 1")

    with pytest.raises(UsageError) as caught:
        load(project, environ={})

    assert caught.value.where == "pyproject.toml:4"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("smtp.max_connections = 'ten'", "smtp.max_connections has to be a whole number, not 'ten'", None),
        ("smtp.max_connections = 2.5", "smtp.max_connections has to be a whole number, not 2.5", None),
        ("smtp.max_connections = true", "smtp.max_connections has to be a number, not true", None),
        ("smtp.max_connections = 0", "smtp.max_connections has to be 1 or more, not 0", None),
        ("queue.chunk_size = 501", "queue.chunk_size has to be 500 or less, not 501", None),
        ("smtp.pipelining = 'on'", "smtp.pipelining has to be 'auto', 'off' or 'full', not 'on'", None),
        ("smtp.idle_timeout = '3 weeks'", "smtp.idle_timeout: '3 weeks' is not a duration", "write 30s, 10m, 2h or 2d"),
        ("smtp.idle_timeout = -1", "smtp.idle_timeout has to be a duration above 0, not -1", None),
        ("delivery.max_age = inf", "delivery.max_age has to be a duration above 0, not inf", None),
        ("smtp.ca_file = 3", "smtp.ca_file has to be a path, in quotes, not 3", None),
        ("smtp.local_hostname = 'a b'", "smtp.local_hostname has to be a host name, not 'a b'", None),
        ("queue.allow_plain = 'maybe'", "queue.allow_plain has to be true or false, not 'maybe'", None),
        ("queue.high_water = '1 ton'", "queue.high_water: '1 ton' is not a size", "write 500KB, 10MB or 256MiB"),
        ("queue.high_water = 100", "queue.low_water has to be below queue.high_water", "the defaults are"),
        ("delivery.retry_delays = '5m'", "delivery.retry_delays has to be a list such as", None),
        ("delivery.retry_delays = []", "delivery.retry_delays has to be a list of durations above 0", None),
        ("delivery.retry_delays = ['x']", "delivery.retry_delays: 'x' is not a duration", "write 30s"),
        ("campaign.name = 7", "campaign.name has to be a text, in quotes, not 7", None),
        ("campaign.name = 'Große Post'", "campaign.name has to be letters, digits and -, not 'Große Post'", None),
        ("campaign.headers = ['a']", "campaign.headers has to be a table of names and texts, not ['a']", None),
        ("campaign.headers.X = 3", "campaign.headers.X has to be a text, in quotes, not 3", None),
    ],
)
def test_a_wrong_value_is_named_with_its_line_and_the_form_wanted(
    text: str, message: str, hint: str | None, write: Write
) -> None:
    with pytest.raises(UsageError) as caught:
        load(write("mailer.toml", f"\n{text}"), environ={})

    assert (caught.value.code, caught.value.where) == ("E101", "mailer.toml:2")
    assert message in caught.value.message
    assert (hint or "") in str(caught.value.hint)


def test_a_wrong_value_that_is_overridden_harms_nobody(write: Write) -> None:
    campaign = write("mailer.toml", "[smtp]\nmax_connections = 'ten'")

    assert load(campaign, environ={}, flags={"smtp.max_connections": 2}).smtp.max_connections == 2


@pytest.mark.parametrize(
    ("environ", "message", "where", "hint"),
    [
        ({"MAILER_SMTP__MAX_CONECTIONS": "3"}, "is not a setting", "environment", "MAILER_SMTP__MAX_CONNECTIONS?"),
        ({"MAILER_ZORK__BLAH": "3"}, "is not a setting", "environment", "mailer config show"),
        ({"MAILER_SMTP_URI": "3"}, "is not a setting", "environment", "MAILER_SMTP_URL?"),
        ({"MAILER_SMTP_PASSWORT": "3"}, "is not a setting", "environment", "MAILER_SMTP_PASSWORD?"),
        ({"MAILER_REDIS_URL": "a", "MAILER_QUEUE__URL": "b"}, "set the same thing", "environment", "unset one"),
        ({"MAILER_CAMPAIGN__HEADERS": "X: 1"}, "not JSON", "environment MAILER_CAMPAIGN__HEADERS", '{"name"'),
        ({"MAILER_DELIVERY__RETRY_DELAYS": "[5m]"}, "not JSON", "environment MAILER_DELIVERY__RETRY_DELAYS", "5m,15m"),
        ({"MAILER_SMTP__MAX_CONNECTIONS": "x"}, "a whole number", "environment MAILER_SMTP__MAX_CONNECTIONS", ""),
    ],
)
def test_a_wrong_variable_is_named(environ: dict[str, str], message: str, where: str, hint: str, folder: Path) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        load(None, environ=environ)

    assert (caught.value.code, caught.value.where) == ("E101", where)
    assert hint in str(caught.value.hint)


def test_a_wrong_flag_is_named(folder: Path) -> None:
    with pytest.raises(UsageError, match="a whole number") as caught:
        load(None, environ={}, flags={"smtp.max_connections": "x"})
    assert caught.value.where == "flag --connections"

    with pytest.raises(UsageError, match="no key zork"):
        load(None, environ={}, flags={"smtp.zork": "x"})


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[smtp]\nurl = smtps://host", 2),
        ("[smtp]\nurl = 'a'\nurl = 'b'", 3),
        ("[smtp]\ncampaign = [1,\n2", 3),
        ("[smtp\n", 1),
    ],
)
def test_bad_toml_is_named_with_its_line(text: str, line: int, write: Write) -> None:
    with pytest.raises(UsageError, match="is not TOML") as caught:
        load(write("mailer.toml", text), environ={})

    assert (caught.value.code, caught.value.where) == ("E110", f"mailer.toml:{line}")


def test_a_file_that_cannot_be_toml_is_refused(folder: Path) -> None:
    Path("nested.toml").write_text("a = " + "[" * 100_000, encoding="utf-8")
    Path("latin.toml").write_bytes(b"[campaign]\r\nsubject = 'Gr\xfc\xdfe'")
    Path("marked.toml").write_bytes(b"\xef\xbb\xbf[campaign]\r\nsubject = 'x'\r\n")

    for name, where in (("nested.toml", "nested.toml"), ("latin.toml", "latin.toml:2")):
        with pytest.raises(UsageError) as caught:
            load(Path(name), environ={})
        assert caught.value.code == "E110"
        assert str(caught.value.where).startswith(where)
    assert load(Path("marked.toml"), environ={}).campaign.subject == "x"


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "empty").mkdir()
    for campaign, environ, env_file in (
        (Path("nowhere.toml"), {}, None),
        (Path("empty"), {}, None),
        (None, {"MAILER_CONFIG": "nowhere.toml"}, None),
        (None, {}, Path("nowhere.env")),
    ):
        with pytest.raises(UsageError, match=r"nowhere|empty") as caught:
            load(campaign, environ=environ, env_file=env_file)
        assert caught.value.code == "E108"


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("[smtp]\n\nurl = 'smtp://host'", "E102", 3),
        (f"[smtp]\nurl = 'smtps://ann:{CANARY}@host'", "E103", 2),
        (f"[smtp]\nurl = ['smtps://ann:{CANARY}@host']", "E101", 2),
        (f"[smtp]\npassword = '{CANARY}'", "E101", 2),
        (f"[smtp]\npassword = {CANARY}", "E110", 2),
        (f"[queue]\nurl = 'rediss://:{CANARY}@host'", "E103", 2),
        (f"[queue]\nurl = 'redis://localhost?password={CANARY}'", "E103", 2),
        (f"[queue]\nurl = {{ a = 'rediss://:{CANARY}@host' }}", "E101", 2),
        ("[queue]\nurl = 'redis://redis.example'", "E111", 2),
    ],
)
def test_a_refused_url_is_placed_and_its_password_never_repeated(
    text: str, code: str, line: int, write: Write, everything_about: Callable[[UsageError], str]
) -> None:
    with pytest.raises(UsageError) as caught:
        load(write("mailer.toml", text), environ={})

    assert (caught.value.code, caught.value.where) == (code, f"mailer.toml:{line}")
    assert CANARY not in everything_about(caught.value)


@pytest.mark.parametrize(
    "content", [f"MAILER_SMTP_URL=smtps://ann:{CANARY}@h".encode(), f"A={CANARY}\nB=\xff".encode("latin-1")]
)
def test_an_env_file_is_never_repeated(
    content: bytes, folder: Path, everything_about: Callable[[UsageError], str]
) -> None:
    Path("bad.env").write_bytes(content)

    with pytest.raises(UsageError) as caught:
        load(None, environ={}, env_file=Path("bad.env"))

    assert CANARY not in everything_about(caught.value)


def test_a_queue_password_of_the_environment_is_kept_and_hidden(folder: Path) -> None:
    url = f"rediss://:{CANARY}@redis.example/0"

    configuration = load(None, environ={"MAILER_REDIS_URL": url})

    assert configuration.queue.url == url
    assert CANARY not in repr(configuration) + repr(configuration.queue) + repr(configuration.explicit("queue"))


@given(st.dictionaries(st.text("MAILER_SQUX", max_size=12).map(lambda name: f"MAILER_{name}"), st.text(max_size=9)))
def test_any_environment_is_read_or_refused_with_a_code(environ: dict[str, str]) -> None:
    try:
        environment_layer(environ, source="environment", folder=Path())
    except UsageError as error:
        assert error.code == "E101"  # noqa: PT017  # both ends are right
