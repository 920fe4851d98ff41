"""The environment: the variables that hold settings, and the `.env` file that may stand behind them."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from mailer.config.keys import KEYS, NOT_SETTINGS, VARIABLES, nearest_variable, unknown_variable
from mailer.config.layer import Layer
from mailer.vocabulary.errors import UsageError

_NUMBER = re.compile(r"\d+(\.\d+)?")


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of a `.env` file, without expanding `$` in them. Raises E108 when it cannot be read."""
    from dotenv import dotenv_values

    if not path.is_file():
        raise UsageError("E108", f"there is no file {path}", hint="--env-file names a file of lines NAME=value")
    try:
        # A `$` in a password is a `$`, and the process's own environment has no say in the file.
        values = dotenv_values(path, interpolate=False, encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        values = None
    # Raised out here, because a decoding error holds the whole content.
    if values is None:
        raise UsageError("E108", f"{path} cannot be read as UTF-8 text")
    return {name: value for name, value in values.items() if value is not None}


def with_env_file(environ: Mapping[str, str], env_file: Path | None) -> dict[str, str]:
    """The environment over the variables of a `.env` file, for what is read besides settings (`smtp_password`).

    An empty variable counts as not set, as it does everywhere here. Raises E108 when the file cannot be read.
    """
    behind = read_env_file(env_file) if env_file else {}
    return behind | {name: value for name, value in environ.items() if value}


def environment_layer(environ: Mapping[str, str], *, source: str, folder: Path) -> Layer:
    """The settings among some variables; `source` is how an origin calls them (`environment`, `prod.env`).

    Raises:
        UsageError: E101 for `MAILER_<SECTION>__<KEY>` without such a key, for a near miss of a known name, for two
            names of one setting, and for a value that should be JSON and is not.
    """
    values: dict[str, object] = {}
    names: dict[str, str] = {}
    for name, text in environ.items():
        if not name.startswith("MAILER_") or name in NOT_SETTINGS or not text:
            continue
        key = VARIABLES.get(name)
        if key is None:
            _refuse_near_miss(name, source)
            continue
        if key in names:
            raise UsageError("E101", f"{names[key]} and {name} set the same thing", where=source, hint="unset one")
        names[key] = name
        values[key] = _decoded(text, KEYS[key], f"{source} {name}")
    origins = {key: f"{source} {name}" for key, name in names.items()}
    return Layer(values=values, origins=origins, folder=folder, explicit=True)


def _refuse_near_miss(name: str, source: str) -> None:
    """Refuse what is meant for us; let pass what merely shares the prefix (`MAILER_DSN` is Symfony's)."""
    if "__" in name or nearest_variable(name):
        raise unknown_variable(name, source)


def _decoded(text: str, default: object, where: str) -> object:
    """Give the text of a variable the type its value would have in a file; what remains text is judged later."""
    if isinstance(default, tuple) and not text.lstrip().startswith("["):
        return [_number(item.strip()) for item in text.split(",")]
    if isinstance(default, dict | tuple):
        try:
            return json.loads(text)
        except ValueError:
            pass
        form = '{"name": "value"}' if isinstance(default, dict) else '["5m", "15m"], or 5m,15m'
        raise UsageError("E101", "the value is not JSON", where=where, hint=f"write it as {form}")
    return _number(text) if isinstance(default, int | float) else text


def _number(text: str) -> object:
    """A bare number, which a quantity takes as seconds or bytes; anything else as it is."""
    if not _NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)
