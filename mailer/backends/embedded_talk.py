"""The few words said to the embedded server over its socket (RESP), without loading a client library."""

import socket
from contextlib import suppress
from pathlib import Path


def is_ready(path: Path, *, seconds: float) -> bool:
    """True when a server listens there and has read its data. A busy one, or one whose disk is full, is ready too."""
    try:
        answer = _ask(path, "PING", seconds=seconds)
    except OSError:
        return False
    return bool(answer) and not answer.startswith("-LOADING")


def info(path: Path, *, seconds: float = 2.0) -> dict[str, str]:
    """The server's INFO as a flat table, also while it reads its data; empty when nobody tells it."""
    try:
        answer = _ask(path, "INFO", seconds=seconds)
    except OSError:
        return {}
    if answer.startswith("-"):
        return {}
    fields = (line.partition(":") for line in answer.splitlines())
    return {name: value for name, colon, value in fields if colon}


def shut_down(path: Path, *, seconds: float) -> None:
    """Ask the server to write everything and end; returns when it closed the connection, refused or was not there."""
    with suppress(OSError):
        _ask(path, "SHUTDOWN", seconds=seconds)


def _ask(path: Path, command: str, *, seconds: float) -> str:
    """The reply to one command: a bulk string's content, else the line with its leading `+` or `-`.

    Empty when the server closed the connection instead. Raises OSError where nobody listens or answers in time.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(seconds)
        connection.connect(str(path))
        connection.sendall(command.encode() + b"\r\n")
        with connection.makefile("rb") as replies:
            line = replies.readline()
            content = replies.read(int(line[1:])) if line.startswith(b"$") else line
    return content.decode("utf-8", "backslashreplace").strip()
