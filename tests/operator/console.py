"""The command line as an operator uses it: real processes against the ledger of a test."""

import asyncio
import json
import os
import pty
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailer.backends.redis.ledgers import Ledgers

ROOT = Path(__file__).parent.parent.parent


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

    async def start(self, *arguments: str, stdin: int = asyncio.subprocess.DEVNULL) -> asyncio.subprocess.Process:
        """Begin a command."""
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mailer", *arguments),
            cwd=self.folder,
            env=self.environ,
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *arguments: str, code: int = 0) -> Said:
        """Run a command to its end, which must be this exit code."""
        return await _said(await self.start(*arguments), code)

    async def answer(self, words: str, *arguments: str, code: int = 0) -> Said:
        """Run a command whose question is answered on a terminal."""
        terminal, end = pty.openpty()
        try:
            process = await self.start(*arguments, stdin=end)
            os.write(terminal, f"{words}\n".encode())
            return await _said(process, code)
        finally:
            os.close(terminal)
            os.close(end)


async def _said(process: asyncio.subprocess.Process, code: int) -> Said:
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    said = Said(process.returncode or 0, out.decode(), err.decode())
    assert said.code == code, said
    return said
