"""Running a command in the test's own process, so that a relay of the test can answer it."""

import asyncio
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mailer.cli.app import run
from tests.cli.running import ROOT, Running, Warm


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


class CommandLine:
    """`await mailer("doctor", "--smtp")`: the command in a thread, the relays in the loop of the test."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    async def __call__(self, *arguments: str) -> Done:
        self._capsys.readouterr()
        code = await asyncio.to_thread(run, arguments)
        out, err = self._capsys.readouterr()
        return Done(code, out, err)

    async def process(self, warm: Warm, *arguments: str) -> Done:
        """The same as a process of its own, for commands that listen to signals."""
        source, out, err = (Path.cwd() / f".process.{name}" for name in ("in", "out", "err"))
        for file in (source, out, err):
            file.write_bytes(b"")
        process = warm.fork(arguments, Path.cwd(), {**os.environ, "PYTHONPATH": str(ROOT)}, source, out, err)
        code = await asyncio.to_thread(Running(process, arguments, out, err).wait)
        return Done(code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))
