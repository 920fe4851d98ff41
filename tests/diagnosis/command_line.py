"""Running a command in the test's own process, so that a relay of the test can answer it."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest

from mailer.cli.app import run


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
