"""The command line as an operator uses it: processes against the ledger of a test, forked from a warm one."""

import asyncio
import json
import os
import pty
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from mailer.backends.redis.ledgers import Ledgers
from tests.cli.running import ROOT, Running, Warm, warm_process


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        (line,) = self.out.splitlines()
        found: dict[str, Any] = json.loads(line)
        assert found["schema_version"] == 1
        return found

    @property
    def error(self) -> dict[str, Any]:
        """The error document on stderr."""
        assert not self.out
        found: dict[str, Any] = json.loads(self.err)["error"]
        return found


@dataclass(frozen=True)
class Console:
    """A shell whose queue is the ledger of a test."""

    ledgers: Ledgers
    folder: Path
    warm: Warm = field(default_factory=warm_process)
    _numbers: "count[int]" = field(default_factory=count)

    @property
    def environ(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTHONPATH": str(ROOT),
            "MAILER_DATA_DIR": str(self.folder / "data"),
            "MAILER_REDIS_URL": self.ledgers.url,
            "MAILER_QUEUE__PREFIX": self.ledgers.keys.prefix,
        }

    def start(self, *arguments: str, terminal: str | None = None) -> Running:
        """Begin a command, with a terminal as its input or with nothing."""
        number = next(self._numbers)
        source, out, err = (self.folder / f".{number}.{name}" for name in ("in", "out", "err"))
        for file in (source, out, err):
            file.touch()
        process = self.warm.fork(
            arguments, self.folder, self.environ, Path(terminal) if terminal is not None else source, out, err
        )
        return Running(process, arguments, out, err)

    async def end(self, running: Running, code: int = 0) -> Said:
        """Wait for a command, which must end with this exit code."""
        ended = await asyncio.to_thread(running.wait)
        said = Said(ended, running.out.read_text(encoding="utf-8"), running.err.read_text(encoding="utf-8"))
        assert said.code == code, said
        return said

    async def run(self, *arguments: str, code: int = 0) -> Said:
        """Run a command to its end, which must be this exit code."""
        return await self.end(self.start(*arguments), code)

    async def answer(self, words: str, *arguments: str, code: int = 0) -> Said:
        """Run a command whose question is answered on a terminal."""
        terminal, end = pty.openpty()
        try:
            running = self.start(*arguments, terminal=os.ttyname(end))
            os.write(terminal, f"{words}\n".encode())
            return await self.end(running, code)
        finally:
            os.close(terminal)
            os.close(end)
