"""What every command has: the flags that mean the same everywhere, and where its output goes."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.quantity import parse_duration

SCHEMA_VERSION = 1

_SWITCHES = {"--json", "--no-color", "-q", "--quiet", "-v", "-vv", "--verbose"}
_WITH_VALUE = {"--env-file", "--log-format"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """The flags of every command. `verbosity` is -1 for `-q`, 1 for `-v`, 2 for `-vv` (which shows tracebacks)."""

    as_json: bool = False
    no_color: bool = False
    verbosity: int = 0
    env_file: Path | None = None
    log_format: Literal["text", "json"] | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def color(self) -> bool:
        """True where stdout may carry colour: NO_COLOR, FORCE_COLOR and TERM=dumb are honoured."""
        return self._colored(sys.stdout.isatty())

    @property
    def live(self) -> bool:
        """True where stderr is a terminal that can redraw: a progress bar may run there."""
        return sys.stderr.isatty() and self.may_redraw and not self.as_json and self.verbosity >= 0

    @property
    def may_redraw(self) -> bool:
        """False where NO_COLOR, --no-color or TERM=dumb rule out the escape sequences that redrawing takes."""
        return not (self.no_color or self.environ.get("NO_COLOR") or self.environ.get("TERM") == "dumb")

    @property
    def color_live(self) -> bool:
        """True where stderr may carry colour."""
        return self._colored(sys.stderr.isatty())

    def _colored(self, is_terminal: bool) -> bool:
        if self.no_color or self.environ.get("NO_COLOR"):
            return False
        if self.environ.get("FORCE_COLOR"):
            return True
        return is_terminal and self.environ.get("TERM") != "dumb"

    @property
    def width(self) -> int:
        """Columns of the terminal, or of COLUMNS, or 100."""
        told = self.environ.get("COLUMNS", "")
        if told.isdigit() and int(told) > 0:
            return int(told)
        return os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else 100

    @property
    def logs(self) -> tuple[Literal["text", "json"], str]:
        """Form and level of the log: JSON where stderr is no terminal."""
        form = self.log_format or ("text" if sys.stderr.isatty() else "json")
        return form, {-1: "error", 0: "warning", 1: "info"}.get(self.verbosity, "debug")

    def say(self, text: str) -> None:
        """Progress and advice, on stderr."""
        if self.verbosity >= 0 and not self.as_json:
            print(text, file=sys.stderr, flush=True)

    def data(self, text: str) -> None:
        """Data, on stdout."""
        print(text, flush=True)

    def document(self, **keys: Any) -> None:
        """The one JSON document of a command, on stdout."""
        self.data(written({"schema_version": SCHEMA_VERSION, **keys}))


def written(document: Mapping[str, Any]) -> str:
    """A JSON document as every command writes it: one line."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def duration(flag: str, text: str) -> float:
    """The seconds that a flag names (`--wait 10m`). Raises `UsageError` E101."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError("E101", f"{flag}: {error}", hint=f"{flag} 30s") from error


def split(arguments: Sequence[str]) -> tuple[Invocation, list[str]]:
    """Take the flags of every command out of the arguments, wherever they stand. Raises `UsageError` E101."""
    switches: list[str] = []
    values: dict[str, str] = {}
    rest: list[str] = []
    queue = iter(arguments)
    for argument in queue:
        name, equals, value = argument.partition("=")
        if argument == "--":
            rest += [argument, *queue]
        elif argument in _SWITCHES:
            switches.append(argument)
        elif name in _WITH_VALUE:
            given = value if equals else next(queue, None)
            if given is None:
                raise UsageError("E101", f"{name} needs a value")
            values[name] = given
        else:
            rest.append(argument)
    form = values.get("--log-format")
    if form not in (None, "text", "json"):
        raise UsageError("E101", f"--log-format {form!r}: text or json")
    louder = sum({"-v": 1, "--verbose": 1, "-vv": 2}.get(switch, 0) for switch in switches)
    quiet = any(switch in ("-q", "--quiet") for switch in switches)
    return (
        Invocation(
            as_json="--json" in switches,
            no_color="--no-color" in switches,
            verbosity=-1 if quiet else louder,
            env_file=Path(values["--env-file"]) if "--env-file" in values else None,
            log_format=form,  # type: ignore[arg-type]  # compared with both above
        ),
        rest,
    )
