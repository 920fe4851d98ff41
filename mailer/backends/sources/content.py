"""Where the bytes of a list come from: a regular file that must not change, or standard input."""

import hashlib
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Protocol

from mailer.backends.sources.lines import Lines
from mailer.vocabulary.errors import SourceError

# A FIFO that takes the place of the file between the look and the opening must not stop us.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class Content(Protocol):
    """Bytes that can be read as lines. Reading raises `SourceError`: E201 unreadable or changed, E204 damaged."""

    @property
    def name(self) -> str:
        """How messages call it."""

    @property
    def sha256(self) -> str | None:
        """The hash of all bytes, in hex, or None where they can be read only once."""

    @property
    def is_repeatable(self) -> bool:
        """True where they can be read again."""

    def lines(self) -> AbstractContextManager[Lines]:
        """The lines from the beginning."""


class FileContent:
    """A regular file. Raises `SourceError` E201 where there is none, and later when it is not the same any more."""

    is_repeatable = True

    def __init__(self, path: Path, name: str) -> None:
        if "\0" in name:
            raise unreadable(name.replace("\0", "\\0"), "Its name holds a NUL character.")
        self.name = name
        self._path = path
        with self._trouble():
            found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            # Not even opened: opening a FIFO waits, opening a device may do anything.
            raise unreadable(name, f"It is {_kind(found.st_mode)}, not a file.")
        self._stamp = _stamp(found)

    @cached_property
    def sha256(self) -> str:
        """The hash of all bytes, in hex: one read of the whole file on first use."""
        with self.opened() as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    @contextmanager
    def lines(self) -> Iterator[Lines]:
        """The lines from the beginning; at the end the file must still be what it was."""
        with self.opened() as stream:
            lines = Lines(stream, self.name)
            yield lines

    @contextmanager
    def opened(self) -> Iterator[BufferedReader]:
        """The bytes themselves; at the end the file must still be what it was."""
        with self._trouble(), open(self._path, "rb", opener=lambda path, _: os.open(path, _FLAGS)) as stream:
            self._refuse_change(stream)
            try:
                yield stream
            except SourceError:
                # Somebody writing while we read is the likelier cause of a half row.
                self._refuse_change(stream)
                raise
            self._refuse_change(stream)

    def _refuse_change(self, stream: BufferedReader) -> None:
        if _stamp(os.fstat(stream.fileno())) != self._stamp:
            raise SourceError(
                "E201",
                f"{self.name} changed while it was read",
                where=str(self._path),
                hint="run again when nobody writes to it",
            )

    @contextmanager
    def _trouble(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise unreadable(self.name, f"There is no file {self._path}.") from None
        except OSError as error:
            raise unreadable(self.name, error.strerror) from error


class StandardInput:
    """What is piped into the program. Can be read once."""

    name = "stdin"
    sha256 = None
    is_repeatable = False

    def __init__(self) -> None:
        self._lines: Lines | None = None

    @contextmanager
    def lines(self) -> Iterator[Lines]:
        """Always the same lines: what was only peeked at can be read once more."""
        if self._lines is None:
            try:
                # Not `sys.stdin.buffer`: that would be closed together with our wrapper.
                raw = FileIO(sys.stdin.fileno(), closefd=False)
                self._lines = Lines(BufferedReader(raw), self.name)
            except (OSError, AttributeError, ValueError) as error:
                raise unreadable(self.name, "Standard input is closed.") from error
        yield self._lines


def unreadable(name: str, why: str | None, hint: str | None = None) -> SourceError:
    """The error for a source that cannot be opened or read: E201."""
    hint = hint or "check the path and the file's permissions: in mailer.toml a path starts from that file's folder"
    return SourceError("E201", f"{name} cannot be read", where=name, why=why, hint=hint)


def _stamp(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISFIFO(mode):
        return "a pipe"
    return "a device or a socket"
