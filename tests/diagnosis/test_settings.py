"""`mailer config show`: what is in force, where it comes from, and not a secret."""

from pathlib import Path

import pytest

from mailer.config.keys import KEYS
from tests.diagnosis.command_line import CommandLine

SECRET = "canary-93ab"


async def test_every_setting_is_shown_with_value_and_origin(
    mailer: CommandLine, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "mailer.toml").write_text('[smtp]\nurl = "smtps://relay.test"\nmax_connections = 3\n')
    monkeypatch.setenv("MAILER_SMTP__MAX_CONNECTIONS", "7")
    document = (await mailer("config", "show", "--json")).document
    settings = document["settings"]
    assert list(settings) == list(KEYS)
    assert settings["smtp.url"] == {"value": "smtps://relay.test", "origin": "mailer.toml"}
    assert settings["smtp.max_connections"] == {"value": 7, "origin": "environment MAILER_SMTP__MAX_CONNECTIONS"}
    assert settings["queue.prefix"] == {"value": "mailer", "origin": "default"}
    assert document["file"] == "mailer.toml"


async def test_the_text_is_a_file_that_could_be_used(mailer: CommandLine, place: Path) -> None:
    import tomllib

    (place / "mailer.toml").write_text('[campaign]\nname = "hello"\nheaders = {X-A = "ä \\"b\\""}\n')
    done = await mailer("config", "show", "--origin")
    assert (done.code, done.err) == (0, "")
    assert tomllib.loads(done.out)["campaign"]["headers"] == {"X-A": 'ä "b"'}
    (line,) = [line for line in done.out.splitlines() if line.startswith("name")]
    assert line.split() == ["name", "=", '"hello"', "#", "mailer.toml"]
    (place / "mailer.toml").write_text(done.out)
    assert (await mailer("config", "show")).code == 0


async def test_no_secret_is_shown(mailer: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILER_REDIS_URL", f"rediss://user:{SECRET}@redis.test:6380/0")
    monkeypatch.setenv("MAILER_SMTP_PASSWORD", SECRET)
    for form in ([], ["--origin"], ["--json"]):
        done = await mailer("config", "show", *form)
        assert done.code == 0
        assert SECRET not in done.out + done.err
        assert "rediss://***@redis.test:6380/0" in done.out
        assert "MAILER_SMTP_PASSWORD" in done.out
