"""A queue server that a test may kill, roll back and start again; what it has written is the trail of the whole run."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from redis import Redis, RedisError

from mailer.backends.embedded_program import find_program

_SETTINGS = (
    *("--port", "0", "--save", "", "--appendonly", "yes", "--appendfsync", "always"),
    *("--auto-aof-rewrite-percentage", "0", "--enable-debug-command", "yes", "--maxmemory-policy", "noeviction"),
)


class QueueServer:
    """A Valkey of its own in `folder`, on a unix socket, with every acknowledged write in its append-only file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "s"
        self.url = f"unix://{self.socket}"
        self._program = find_program().path
        self._process: subprocess.Popen[bytes] | None = None
        self.kills = 0

    def start(self) -> None:
        """Start it with the data it left, and wait until it has read them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, *_SETTINGS, "--dir", str(self.folder), "--unixsocket", str(self.socket)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 10
        with Redis.from_url(self.url) as redis:
            while True:
                try:
                    redis.ping()
                except (RedisError, OSError):
                    assert time.monotonic() < deadline, "the queue server does not start"
                    time.sleep(0.002)
                else:
                    return

    def kill(self) -> None:
        """End it as a power switch would, and wait until it is gone."""
        if self._process is not None:
            self.kills += 1
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def abandon(self) -> None:
        """End it without waiting; whoever calls ends, too."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    @property
    def is_running(self) -> bool:
        """True from its start until it is killed."""
        return self._process is not None

    def say(self, *words: str) -> None:
        """One command of an administrator. Raises redis-py's errors."""
        with Redis.from_url(self.url) as redis:
            redis.execute_command(*words)

    def roll_back(self, size: int) -> None:
        """Forget what was written beyond so many bytes of the append-only file. It must be down."""
        assert self._process is None
        os.truncate(self.trail_file, size)

    def empty(self) -> None:
        """Begin anew with nothing."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.start()

    @property
    def trail_file(self) -> Path:
        """The append-only file: every change, in the order they were made."""
        (path,) = (self.folder / "appendonlydir").glob("*.incr.aof")
        return path

    @property
    def trail_size(self) -> int:
        """Its bytes so far."""
        return self.trail_file.stat().st_size

    def written(self, since: int = 0) -> bytes:
        """The trail from this byte on."""
        with self.trail_file.open("rb") as file:
            file.seek(since)
            return file.read()
