"""The ground of a measurement: a folder with the letter and the list, the sink, a cache; cleared away at the end."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks import letter, queue_server
from benchmarks.by_the_book import constant
from benchmarks.course import Course
from benchmarks.crew import Crew
from benchmarks.queue_server import Durability
from benchmarks.sink import Sink


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/mailer-benchmarks`, `~/.cache` by default."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(base).expanduser() / "mailer-benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@dataclass
class Ground:
    """Use it with `with`."""

    messages: int
    size: int
    connections: int
    processes: int
    durability: Durability
    pipelining: bool = True
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="mb-", dir="/tmp")))
    """Directly below /tmp: a Unix socket's path has hardly a hundred characters, and Postfix's users must get there."""
    message_bytes: int = 0
    _laps: int = 0
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self.folder.chmod(0o755)
            self.sink = stack.enter_context(Sink(self.folder, self.pipelining))
            letter.write(self.folder / "letter", messages=self.messages, size=self.size)
            content = constant(self.folder / "letter")
            self.message_bytes = len(content)
            (self.folder / "letter" / "message.eml").write_bytes(content)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @contextmanager
    def lap(self, *, needs_queue: bool = True) -> Iterator[tuple[Course, Crew]]:
        """A course with an empty queue and nobody on it, and a crew that is ended afterwards."""
        self._laps += 1
        scratch = self.folder / str(self._laps)
        scratch.mkdir()
        with Crew(scratch / "logs") as crew:
            queue = scratch / "queue"
            socket = queue_server.start(crew, queue, self.durability) if needs_queue else str(queue)
            yield self.course(scratch, socket), crew
        shutil.rmtree(scratch, ignore_errors=True)

    def course(self, scratch: Path, socket: str) -> Course:
        """What a runner is told."""
        return Course(
            folder=str(self.folder / "letter"),
            scratch=str(scratch),
            cache=str(cache_folder()),
            messages=self.messages,
            connections=self.connections,
            processes=self.processes,
            plain_port=self.sink.plain_port,
            tls_port=self.sink.tls_port,
            ca_file=str(self.sink.ca_file),
            queue_socket=socket,
        )
