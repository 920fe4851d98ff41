"""The acceptance log: what a relay has taken responsibility for, on disk before it says so."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec


class Accepted(msgspec.Struct, frozen=True):
    """One message for one recipient, with what its envelope and its content say of whom it is for."""

    message_id: str
    recipient: str
    to: str
    marker: str
    session: int
    client: str
    ms: float


class Denied(msgspec.Struct, frozen=True):
    """A permanent no to one recipient, in the words that went over the wire."""

    recipient: str
    code: int
    text: str


@dataclass(slots=True)
class Taken:
    """What was read back from a log."""

    accepted: list[Accepted]
    denied: list[Denied]


class AcceptanceLog:
    """One file, a line for every entry. `accept` returns when the line would survive the end of the process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC, 0o600)

    def accept(self, entries: list[Accepted]) -> None:
        """Write them all at once, and let the disk have them."""
        os.write(self._file, b"".join(b"A" + msgspec.json.encode(entry) + b"\n" for entry in entries))
        os.fsync(self._file)

    def deny(self, entry: Denied) -> None:
        """Write a refusal; nobody is told of it late."""
        os.write(self._file, b"D" + msgspec.json.encode(entry) + b"\n")

    def read(self) -> Taken:
        """Everything so far."""
        lines = self.path.read_bytes().splitlines()
        return Taken(
            accepted=[msgspec.json.decode(line[1:], type=Accepted) for line in lines if line[:1] == b"A"],
            denied=[msgspec.json.decode(line[1:], type=Denied) for line in lines if line[:1] == b"D"],
        )

    def close(self) -> None:
        """Close the file; it stays."""
        os.close(self._file)


def now_ms() -> float:
    """Milliseconds on the clock that no one turns."""
    return time.monotonic() * 1000
