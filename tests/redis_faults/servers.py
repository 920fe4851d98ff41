"""A queue server with faults: it forgets what it wrote last, refuses to write, or takes its time."""

import os
import resource
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from redis import Redis

from mailer.backends.embedded import status, stop
from mailer.backends.embedded_program import find_program
from mailer.backends.embedded_talk import is_ready
from tests.servers import OwnServer


class FaultyServer(OwnServer):
    """A server that may be killed, rolled back as by a power loss, and set wrong by its administrator."""

    _administrator: Any = None
    _foreign: "subprocess.Popen[bytes] | None" = None

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

    def settle(self) -> None:
        """Wait until it writes again what it could not write before."""
        deadline = time.monotonic() + 10
        while self.say("INFO", "persistence")["aof_last_write_status"] != "ok":
            assert time.monotonic() < deadline, "it does not write"
            time.sleep(0.01)

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
        self._begin("--key-load-delay", str(key_delay_us), "--loading-process-events-interval-bytes", "1024")

    def start_on_a_small_disk(self, appendfsync: str) -> None:
        """Start it so that a file that becomes too large (`limit_files`) is an error as on a full disk."""
        self._begin("--appendfsync", appendfsync)
        deadline = time.monotonic() + 10
        while not is_ready(self.folder / "server.sock", seconds=1):
            assert time.monotonic() < deadline, "it does not start"
            time.sleep(0.005)

    def _begin(self, *settings: str) -> None:
        self._foreign = subprocess.Popen(
            [
                find_program().path,
                *("--dir", str(self.folder), "--unixsocket", self.url.removeprefix("unix://"), "--port", "0"),
                *("--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction", "--save", ""),
                *settings,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # It ignores SIGXFSZ, as Python does, and sees the error of its write instead.
            restore_signals=False,
        )

    @property
    def has_ended(self) -> bool:
        """Whether the one that was started here has given up by itself."""
        return self._foreign is not None and self._foreign.poll() is not None

    def mend(self) -> None:
        """Bring it back if a test has left it dead."""
        if self._foreign is not None:
            self._foreign.kill()
            self._foreign.wait()
            self._foreign = None
        found = status(self.folder)
        if found is not None and not found.running:
            self.start()


class Pair:
    """A primary and its replica behind one address, as behind a name that a failover moves from one to the other."""

    def __init__(self, folder: Path) -> None:
        self.primary = FaultyServer(folder / "primary")
        self.replica = FaultyServer(folder / "replica")
        self._address = folder / "now"
        self.point_to(self.primary)
        self.url = f"unix://{self._address}"
        (self._port,) = free_ports(1)
        self.primary.say("CONFIG", "SET", "port", self._port)
        self.follow()

    def follow(self) -> None:
        """The replica copies the primary from now on; returns when it has all that is there."""
        # Without a pause before the copy that the first replica has to wait for.
        self.primary.say("CONFIG", "SET", "repl-diskless-sync-delay", 0)
        self.replica.say("REPLICAOF", "127.0.0.1", self._port)
        _followed(self.replica)

    def part(self) -> None:
        """The line between them is cut: the replica gets nothing more and knows of no other primary."""
        self.replica.say("REPLICAOF", "127.0.0.1", 1)

    def promote(self) -> None:
        """The replica is a primary."""
        self.replica.say("REPLICAOF", "NO", "ONE")

    def fail_over(self) -> None:
        """The primary dies, and the replica answers in its place with what it has."""
        self.primary.kill()
        self.promote()
        self.point_to(self.replica)

    def copy_back(self) -> None:
        """What was the primary copies what was the replica, and forgets what that never had."""
        (port,) = free_ports(1)
        self.replica.say("CONFIG", "SET", "port", port)
        self.replica.say("CONFIG", "SET", "repl-diskless-sync-delay", 0)
        self.primary.say("REPLICAOF", "127.0.0.1", port)
        _followed(self.primary)

    def point_to(self, server: FaultyServer) -> None:
        """The address is that of this server."""
        new = self._address.with_suffix(".new")
        new.symlink_to(server.url.removeprefix("unix://"))
        new.replace(self._address)

    def close(self) -> None:
        """End both."""
        for server in (self.primary, self.replica):
            server.mend()
            stop(server.folder)


def _followed(replica: FaultyServer) -> None:
    """Wait until it has a copy of all that its primary had."""
    deadline = time.monotonic() + 10
    while replica.say("INFO", "replication")["master_link_status"] != "up":
        assert time.monotonic() < deadline, "the replica does not follow"
        time.sleep(0.005)


def free_ports(count: int) -> list[int]:
    """Ports of this computer that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(one.getsockname()[1]) for one in sockets]
