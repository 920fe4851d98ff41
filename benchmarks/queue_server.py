"""A queue server of its own for each run: Valkey or Redis on a Unix socket, empty, with an append-only file."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from benchmarks.crew import BenchmarkError, Crew

if TYPE_CHECKING:
    from redis import Redis

Durability = Literal["everysec", "always"]
NAME = "redis"


def start(crew: Crew, folder: Path, durability: Durability) -> str:
    """Start one in a new folder; return its socket when it answers."""
    from mailer.backends.embedded_program import find_program
    from mailer.vocabulary.errors import MailerError

    try:
        program = find_program()
    except MailerError as error:
        raise BenchmarkError(f"{error.message}\n  {error.hint}") from error
    folder.mkdir(parents=True)
    socket = folder / "s"
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": durability,
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    crew.start(NAME, [program.path, *(word for name, value in settings.items() for word in (f"--{name}", value))])
    crew.until(lambda: answers(str(socket)), "the queue server answers", seconds=15)
    return str(socket)


def client(socket: str) -> "Redis":
    """A client, for looking."""
    from redis import Redis

    return Redis(unix_socket_path=socket)


def answers(socket: str) -> bool:
    """True when it answers."""
    from redis.exceptions import ConnectionError as NoConnectionError

    try:
        with client(socket) as redis:
            return bool(redis.ping())
    except (NoConnectionError, OSError):
        return False


def used_bytes(socket: str) -> int:
    """The memory that its data take."""
    with client(socket) as redis:
        memory: dict[str, Any] = redis.info("memory")
    return int(memory["used_memory"])
