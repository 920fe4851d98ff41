"""Commands that run: started cold, as a shell does it, or forked from a process that has loaded them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import pytest

ROOT = Path(__file__).parents[2]
WARNINGS = (
    "error"
    # A worker process leaves closing its standard input to its end.
    ",ignore:unclosed transport <_UnixReadPipeTransport:ResourceWarning"
    # A pipeline of arq that was cancelled, when its pool had been closed.
    ",ignore:Unclosed client session <redis.asyncio.client.Pipeline:ResourceWarning"
)
"""Of Python, in every process."""
needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks into /proc")


class Process(Protocol):
    """What one can do with a process."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""


class Forked:
    """A command forked by `Warm`."""

    def __init__(self, warm: "Warm", pid: int) -> None:
        self.pid = pid
        self._warm = warm
        self._code: int | None = None

    def poll(self) -> int | None:
        if self._code is None:
            self._code = self._warm.tell({"pid": self.pid})
        return self._code


class Warm:
    """See `tests.cli.warm`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.cli.warm"],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "PYTHONWARNINGS": WARNINGS},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def fork(
        self, words: Sequence[str], folder: Path, environ: Mapping[str, str], stdin: Path, out: Path, err: Path
    ) -> Forked:
        order = {"words": words, "folder": str(folder), "environ": environ}
        pid = self.tell(order | {"in": str(stdin), "out": str(out), "err": str(err)})
        assert pid is not None
        return Forked(self, pid)

    def run(self, words: Sequence[str], folder: Path, environ: Mapping[str, str]) -> tuple[int, str, str]:
        """Run a command or a script (`name.py`) to its end: its exit code, its output, and what it said besides."""
        with TemporaryDirectory() as streams:
            source, out, err = (Path(streams, name) for name in ("in", "out", "err"))
            for file in (source, out, err):
                file.touch()
            code = Running(self.fork(words, folder, environ, source, out, err), words, out, err).wait()
            return code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8")

    def tell(self, order: dict[str, Any]) -> int | None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(order)}\n")
        self._process.stdin.flush()
        answer: int | None = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        self._process.communicate()


@cache
def warm_process() -> Warm:
    """The one of this process."""
    return Warm()


class Running:
    """A started command, what it was asked, and the files its output goes to."""

    def __init__(self, process: Process, words: Sequence[str], out: Path, err: Path) -> None:
        self.process = process
        self.words = words
        self.out = out
        self.err = err

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_asleep(self) -> bool:
        """True when it waits, and has done so for a moment: what it said last was not on the way to something."""
        looks = []
        for _ in range(3):
            looks.append((Path("/proc") / str(self.pid) / "status").read_text())
            time.sleep(0.02)
        return "State:\tS" in looks[0] and len({look.partition("voluntary_ctxt_switches")[2] for look in looks}) == 1

    def signal(self, number: int) -> None:
        if self.process.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait()

    def wait(self, *, within: float = 30.0) -> int:
        deadline = time.monotonic() + within
        while (code := self.process.poll()) is None:
            assert time.monotonic() < deadline, f"{self.words} goes on and on:\n{self.err.read_text()}"
            time.sleep(0.005)
        return code

    def says(self, words: str, *, within: float = 15.0) -> str:
        """Wait until it has said this on stderr; gives all that it said."""
        deadline = time.monotonic() + within
        while words not in (said := self.err.read_text(encoding="utf-8")):
            assert self.process.poll() is None or words in self.err.read_text(), f"no word of {words!r}:\n{said}"
            assert time.monotonic() < deadline, f"no word of {words!r} for {within:g} s:\n{said}"
            time.sleep(0.005)
        return said
