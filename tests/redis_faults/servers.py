"""A queue server with faults: it forgets what it wrote last, refuses to write, or takes its time."""

import os
import resource
import subprocess
import time
from pathlib import Path
from typing import Any

from redis import Redis

from mailer.backends.embedded import status
from mailer.backends.embedded_program import find_program
from tests.servers import OwnServer


class FaultyServer(OwnServer):
    """A server that may be killed, rolled back as by a power loss, and set wrong by its administrator."""

    _administrator: Any = None
    _slow: "subprocess.Popen[bytes] | None" = None

    @property
    def trail_file(self) -> Path:
        """The append-only file: every change, in the order they were made."""
        (path,) = (self.folder / "appendonlydir").glob("*.incr.aof")
        return path

    @property
    def written(self) -> int:
        """Bytes of the append-only file so far."""
        return self.trail_file.stat().st_size

    def cut(self, size: int) -> None:
        """Forget what was written beyond so many bytes of the append-only file. It must be down."""
        os.truncate(self.trail_file, size)

    def restart(self, *, forgetting_from: int | None = None) -> None:
        """Kill it and start it again, perhaps with its append-only file cut."""
        self.kill()
        if forgetting_from is not None:
            self.cut(forgetting_from)
        self.start()

    def say(self, *words: str | int) -> Any:
        """One command of the administrator."""
        redis: Any = Redis.from_url(self.url)
        try:
            return redis.execute_command(*words)
        finally:
            redis.close()

    def lock_out(self) -> None:
        """From now on it wants a password that nobody knows; who is connected is thrown out."""
        self._administrator = Redis.from_url(self.url)
        self._administrator.config_set("requirepass", "secret")
        self._administrator.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def let_in(self) -> None:
        """It wants none any more."""
        self._administrator.config_set("requirepass", "")
        self._administrator.close()

    def limit_files(self, size: int) -> None:
        """From now on no file of it may become larger than this."""
        found = status(self.folder)
        assert found is not None
        assert found.pid is not None
        resource.prlimit(found.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def compact(self) -> None:
        """Rewrite the append-only file as a snapshot."""
        self.say("BGREWRITEAOF")
        deadline = time.monotonic() + 5
        while (about := self.say("INFO", "persistence"))["aof_rewrite_in_progress"] or about["aof_rewrite_scheduled"]:
            assert time.monotonic() < deadline, "the append-only file is not rewritten"
            time.sleep(0.005)

    def start_slowly(self, key_delay_us: int) -> None:
        """Start it with the data it left, and let it take so long to read each key; returns at once.

        It answers that it is loading only while it reads a snapshot: have one written before (`compact`).
        """
        self._slow = subprocess.Popen(
            [
                find_program().path,
                *("--dir", str(self.folder), "--unixsocket", self.url.removeprefix("unix://"), "--port", "0"),
                *("--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction", "--save", ""),
                *("--key-load-delay", str(key_delay_us), "--loading-process-events-interval-bytes", "1024"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def mend(self) -> None:
        """Bring it back if a test has left it dead."""
        if self._slow is not None:
            self._slow.kill()
            self._slow.wait()
        found = status(self.folder)
        if found is not None and not found.running:
            self.start()
