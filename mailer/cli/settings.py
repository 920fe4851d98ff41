"""`mailer config show`: every setting, its value and where it comes from, without a secret."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from mailer.cli.opening import read_setting
from mailer.config.keys import KEYS
from mailer.config.redis_url import redact
from mailer.vocabulary.quantity import Rate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailer.cli.invocation import Invocation
    from mailer.config.configuration import Configuration

SECRETS = (
    "MAILER_SMTP_PASSWORD",
    "MAILER_SMTP_PASSWORD_FILE",
    "MAILER_SMTP_PASSWORD_COMMAND",
    "MAILER_TOKEN_SECRET",
    "MAILER_TOKEN_SECRET_FILE",
)
"""Variables of which only is told that they are set: a command line may hold a secret as well as a value may."""


def show_settings(invocation: "Invocation", campaign: Path | None, *, origin: bool) -> int:
    """Tell every setting; the password is neither read nor asked for."""
    setting = read_setting(invocation, campaign)
    configuration = setting.configuration
    secrets = [name for name in SECRETS if setting.environ.get(name)]
    values = {key: _value(configuration, key) for key in KEYS}
    if invocation.as_json:
        invocation.document(
            settings={key: {"value": value, "origin": configuration.origin[key]} for key, value in values.items()},
            secrets=secrets,
            file=None if configuration.path is None else str(configuration.path),
        )
        return 0
    invocation.data("\n".join(_lines(values, configuration.origin if origin else None)))
    for name in secrets:
        invocation.data(f"{name} is set")
    return 0


def _value(configuration: "Configuration", key: str) -> object:
    section, _, name = key.partition(".")
    value: object = getattr(getattr(configuration, section), name)
    if key == "queue.url" and isinstance(value, str):
        return redact(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Rate) else value


def _lines(values: "Mapping[str, object]", origins: "Mapping[str, str] | None") -> list[str]:
    """As a TOML file would have it; what is not set stands behind a `#`."""
    lines: list[str] = []
    section = ""
    for key, value in values.items():
        table, _, name = key.partition(".")
        if table != section:
            section = table
            lines += [f"[{table}]"] if not lines else ["", f"[{table}]"]
        line = f"# {name} =" if value is None else f"{name} = {_toml(value)}"
        lines.append(f"{line:<48}  # {origins[key]}" if origins is not None else line)
    return lines


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {_toml(item)}" for name, item in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)
