"""The processes of a measurement: started, watched, and ended whatever happens."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.measuring import trees

GRACE_S = 15.0


class BenchmarkError(Exception):
    """The measurement cannot be made; the message says why, and what to do."""


@dataclass
class Crew:
    """Use it with `with`. What a process says goes into `<logs>/<name>.log`."""

    logs: Path
    pids: dict[str, int] = field(default_factory=dict)
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def start(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        environ: Mapping[str, str] | None = None,
        folder: Path | None = None,
        stdin: bytes = b"",
        out: Path | None = None,
    ) -> None:
        """Start a process; `out` takes its standard output alone."""
        with self.log(name).open("ab") as log, (out or self.log(name)).open("ab") as standard:
            # The programs that are measured, without a shell.
            process = subprocess.Popen(  # noqa: S603 (our own commands)
                command,
                stdin=subprocess.PIPE,
                stdout=standard,
                stderr=log,
                cwd=folder,
                env={**os.environ, **(environ or {})},
                # Ctrl-C is for us: we end the others in order.
                start_new_session=True,
            )
        self._processes[name] = process
        self.pids[name] = process.pid
        if process.stdin is not None:
            process.stdin.write(stdin)
            process.stdin.close()

    def log(self, name: str) -> Path:
        """The file with what it said."""
        return self.logs / f"{name}.log"

    def exit_code(self, name: str) -> int | None:
        """None while it runs. It is left unreaped, because its CPU time goes when it is reaped."""
        process = self._processes[name]
        if process.returncode is not None:
            return process.returncode
        ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None:
            return None
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status

    def complain(self) -> None:
        """Raise `BenchmarkError` with its last words when one ended with an error."""
        for name in self._processes:
            if self.exit_code(name):
                words = self.log(name).read_text(errors="replace").strip().splitlines()[-20:]
                raise BenchmarkError(f"{name} ended with {self.exit_code(name)}\n    " + "\n    ".join(words))

    def until(self, is_so: Callable[[], bool], what: str, *, seconds: float = 60.0, pause: float = 0.005) -> None:
        """Wait for something that these processes bring about. Raises `BenchmarkError` when they do not."""
        deadline = time.monotonic() + seconds
        while not is_so():
            self.complain()
            if time.monotonic() > deadline:
                raise BenchmarkError(f"{what}: not within {seconds:g} s")
            time.sleep(pause)

    def until_over(self, name: str, *, seconds: float = 60.0) -> None:
        """Wait for the end of one."""
        self.until(lambda: self.exit_code(name) is not None, f"the end of {name}", seconds=seconds)
        self.complain()

    def until_said(self, name: str, words: str, *, times: int = 1, seconds: float = 60.0) -> None:
        """Wait for words in its log."""
        log = self.log(name)
        self.until(lambda: log.read_text(errors="replace").count(words) >= times, f"{name}: {words}", seconds=seconds)

    def end(self, *names: str) -> None:
        """End these, or all: SIGTERM, and SIGKILL for what of the whole tree is left after a while."""
        chosen = {name: self._processes[name] for name in (names or self._processes)}
        trunk = trees(process.pid for process in chosen.values())
        for process in chosen.values():
            if process.returncode is None:
                _kill(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        for process in chosen.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _kill(process.pid, signal.SIGKILL)
                process.wait()
        for branch in (branch for tree in trunk.values() for branch in tree[1:]):
            _kill(branch.pid, signal.SIGKILL)
        for name in chosen:
            del self._processes[name], self.pids[name]


def _kill(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
