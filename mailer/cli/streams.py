"""The standard streams of a command: UTF-8 where data goes, and calm when nobody reads on."""

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from mailer.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Stream(io.FileIO):
    """A standard stream whose failure never looks like one of a socket, which is an OSError too.

    Whoever reads it may leave (`mailer report | head`): what is written then vanishes and the work goes on, with its
    own exit code. SIGPIPE would be simpler, but it would also end a worker whose relay hangs up.
    """

    _is_over = False

    def write(self, data: "ReadableBuffer", /) -> int:
        if self._is_over:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except BrokenPipeError:
            self._is_over = True
            return memoryview(data).nbytes
        except OSError as error:
            self._is_over = True
            raise UsageError(
                "E112",
                f"the output could not be written: {error.strerror}",
                hint="make room, or send the output somewhere else",
                cause=repr(error),
            ) from error


def prepare_streams() -> None:
    """Put our streams in the place of Python's. Where somebody else has replaced them, or on Windows, they stay."""
    if os.name != "posix" or sys.stdout is not sys.__stdout__ or sys.stderr is not sys.__stderr__:
        return
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        # Closed by the caller (`mailer status >&-`): nobody wants to read, and the number must not be a socket's.
        setattr(sys, name, _prepared(stream) if stream is not None else _nowhere())


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def _prepared(stream: TextIO) -> TextIO:
    raw: Any = _Stream(stream.fileno(), "w", closefd=False)
    is_terminal = raw.isatty()
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        # Data are UTF-8 whatever the locale says; a terminal gets what it can show.
        encoding=stream.encoding if is_terminal else "utf-8",
        errors="replace" if is_terminal else "backslashreplace",
        newline="\n",
        line_buffering=is_terminal or stream is sys.__stderr__,
    )
