"""The nursery: a process with everything imported, from which others are forked in a few milliseconds."""

import gc
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from typing import IO, Any

import msgspec

MOST = 1 << 20


class Birth(msgspec.Struct, frozen=True, kw_only=True):
    """What a child is to do: `worker` or `producer`, with its arguments, as whom, and what is wrong with it."""

    kind: str
    arguments: dict[str, Any] = {}
    log: str
    failpoints: str = ""
    io_error: str = ""
    mutant: str = ""


class Gone(msgspec.Struct, frozen=True):
    """A child's end: its number, and its exit status or the negative signal."""

    pid: int
    status: int


def spawned(count: int) -> list[socket.socket]:
    """Start nurseries as a new program; for a process that has threads. Each ends when its socket is closed."""
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(count)]
    for _, theirs in pairs:
        theirs.set_inheritable(True)
    os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "tests.faults.nursery", *(str(theirs.fileno()) for _, theirs in pairs)],
        os.environ | {"MAILER_FAILPOINTS": ""},
        setsid=True,
    )
    for _, theirs in pairs:
        theirs.close()
    return [ours for ours, _ in pairs]


def forked() -> socket.socket:
    """The same as a fork of this process, which must have neither threads nor a running loop."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        ours.close()
        try:
            os.setsid()
            serve(theirs)
        finally:
            os._exit(0)
    theirs.close()
    return ours


def serve(orders: socket.socket) -> None:
    """Fork a child for every order until nobody gives any more."""
    _load()
    alive = set[int]()

    def reap(*_: object) -> None:
        with suppress(ChildProcessError, OSError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                alive.discard(found[0])
                orders.send(b"G" + msgspec.json.encode(Gone(found[0], os.waitstatus_to_exitcode(found[1]))))

    # A signal that comes just before the wait would be heard of only after it: whoever waits looks at this as well.
    heard, tells = os.pipe()
    for descriptor in (heard, tells):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(tells, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, reap)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        ready, _, _ = select.select([orders.fileno(), heard], [], [])
        if heard in ready:
            os.read(heard, MOST)
        if orders.fileno() not in ready:
            continue
        message, descriptors, _, _ = socket.recv_fds(orders, MOST, 1)
        if not message:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for pid in alive:
                os.kill(pid, signal.SIGKILL)
            return
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        pid = os.fork()
        if pid == 0:
            _live(msgspec.json.decode(message, type=Birth), descriptors[0])
        for descriptor in descriptors:
            os.close(descriptor)
        alive.add(pid)
        orders.send(b"B%d" % pid)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})


def _load() -> None:
    """Import everything now, so that no fork has to. The second time there is nothing left to do."""
    import tests.faults.children  # noqa: F401 (imported for its effect: every fork has it loaded)

    "".encode("idna")  # its codec is a module of its own
    gc.collect()
    gc.freeze()


def _live(birth: Birth, stdin: int) -> None:
    """Be the child, to the end."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        os.setsid()
        log = os.open(birth.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for descriptor, number in ((stdin, 0), (log, 1), (log, 2)):
            os.dup2(descriptor, number)
        os.closerange(3, 256)
        sys.stdin, sys.stdout, sys.stderr = _opened(0, "r"), _opened(1, "w"), _opened(2, "w")

        from tests.faults import children

        status = children.live(birth)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stderr.flush()
        os._exit(status)


def _opened(descriptor: int, mode: str) -> IO[str]:
    return os.fdopen(descriptor, mode, closefd=False)


def _serve_all(numbers: list[int]) -> None:
    """One nursery for each of these sockets: this process and forks of it."""
    _load()
    orders = [socket.socket(fileno=number) for number in numbers]
    mine = next((other for other in orders[1:] if os.fork() == 0), orders[0])
    for other in orders:
        if other is not mine:
            other.close()
    serve(mine)


if __name__ == "__main__":
    _serve_all([int(word) for word in sys.argv[1:]])
