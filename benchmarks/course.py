"""The course that all run: the same letter, list, sink and queue server."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from benchmarks.crew import Crew
from benchmarks.letter import SENDER

VARIABLE = "BENCHMARK_COURSE"
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What a runner is told. Paths are strings, because it goes to other processes as JSON."""

    folder: str
    """Holds `templates/letter/`, `recipients.csv` and `message.eml`; a runner may write into `scratch`."""
    scratch: str
    cache: str
    """Where programs that a peer needs are installed, once."""
    messages: int
    connections: int
    """To the sink, of each process."""
    processes: int
    plain_port: int
    tls_port: int
    ca_file: str
    queue_socket: str
    """The Unix socket of an empty Valkey or Redis; nobody listens where the runner needs none."""
    sender: str = SENDER

    def environ(self) -> dict[str, str]:
        """How a child process gets it."""
        return {VARIABLE: json.dumps(asdict(self)), "PYTHONPATH": str(ROOT)}

    @classmethod
    def given(cls) -> Self:
        """In a child process: the course that it was given."""
        return cls(**json.loads(os.environ[VARIABLE]))

    def of(self, messages: int) -> Self:
        """The same with another number of messages."""
        return replace(self, messages=messages)


def nothing(course: Course, crew: Crew) -> None:
    """What a runner does that has nothing to do."""


def nothing_to_install(cache: Path) -> None:
    """What is already there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Somebody who sends the list. A peer is one file in `benchmarks/peers/` with a tuple `RUNNERS`."""

    name: str
    what: str
    """One line for the reader of the table."""
    go: Callable[[Course, Crew], None]
    """Start what sends, and return at once: the clock runs until the sink has everything."""
    ready: Callable[[Course, Crew], None] = nothing
    """Before the clock: start workers, and wait until they wait."""
    check: Callable[[Course, Crew], None] = nothing
    """After the clock: raise `BenchmarkError` when this was no honest run."""
    install: Callable[[Path], None] = nothing_to_install
    """Into the cache, once. Raises `BenchmarkError` with what is missing."""
    needs_queue: bool = False
    is_limit: bool = False
    """It shows how fast the machine is; nobody could send mail with it."""
