"""One render process: its end of the wire, what is on the way in both directions, and how it ended."""

import socket
import struct
import subprocess
import sys
from collections import deque

import msgspec

from mailer.interfaces.rendering import Job, Packed
from mailer.vocabulary.composed import Composed
from mailer.vocabulary.errors import UsageError

LENGTH = struct.Struct(">I")
"""Every message between the two begins with its length."""
_PIECE = 1 << 18
"""Bytes read at once."""


class Answer(msgspec.Struct, array_like=True, frozen=True):
    """The message of one row, without attached files: those are read by whoever stores them."""

    recipients: tuple[tuple[str, str], ...]
    content: bytes
    is_packed: bool
    unescaped: str | None


_read_answers = msgspec.msgpack.Decoder(list[Answer | None]).decode


class RenderProcess:
    """One process, our end of its socket, and what is on the way in both directions."""

    def __init__(self, orders: bytes) -> None:
        self.socket, theirs = socket.socketpair()
        with theirs:
            # A session of its own: Ctrl-C on the terminal is for the one who stores.
            self.process = subprocess.Popen(
                # Not from the current folder, whatever lies there.
                [sys.executable, "-P", "-m", "mailer.worker.rendering"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.socket.setblocking(False)
        self.jobs: deque[Job] = deque()
        self.has_spoken = False
        """It was started, and has read its orders."""
        self.takes_rows = False
        self.gives_all_back = False
        self.outgoing = bytearray()
        self._incoming = bytearray()
        self._send(orders)

    def give(self, job: Job, words: bytes) -> None:
        """Hand over rows."""
        self.jobs.append(job)
        self._send(words)

    def _send(self, words: bytes) -> None:
        self.outgoing += LENGTH.pack(len(words)) + words
        self.write()

    def write(self) -> None:
        """Send what the socket takes now."""
        try:
            while self.outgoing:
                del self.outgoing[: self.socket.send(self.outgoing)]
        except BlockingIOError:
            return
        except OSError as error:
            raise self._ended() from error

    def read(self) -> None:
        """Take in what is there."""
        try:
            while piece := self.socket.recv(_PIECE):
                self._incoming += piece
                self._take_in()
        except BlockingIOError:
            return
        except OSError as error:
            raise self._ended() from error
        raise self._ended()

    def _take_in(self) -> None:
        start = 0
        while len(self._incoming) - start >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._incoming, start)
            end = start + LENGTH.size + length
            if len(self._incoming) < end:
                break
            with memoryview(self._incoming) as view:
                self._hear(_read_answers(view[start + LENGTH.size : end]))
            start = end
        del self._incoming[:start]

    def _hear(self, answers: list[Answer | None]) -> None:
        if not self.has_spoken:
            # Without rows: it is ready, or it found another template than we.
            self.has_spoken, self.takes_rows = True, not answers
            return
        self.jobs.popleft().done = [_composed(answer) for answer in answers]
        self.gives_all_back = answers.count(None) == len(answers)

    def _ended(self) -> UsageError:
        try:
            status: int | None = self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            status = None
        how = f"by signal {-status}" if status is not None and status < 0 else f"with status {status}"
        return UsageError(
            "E136",
            f"a process that renders ended {how}",
            why="It was killed, or the machine had no memory left." if status in (-9, None) else None,
            hint="run it again; with --render-processes 1 this process renders alone",
            safe="Nothing was half written: what is stored is whole, and nobody gets a second message.",
        )

    def end(self) -> None:
        """See to it that it is gone. Its socket is closed."""
        try:
            self.process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _composed(answer: Answer | None) -> Composed | None:
    if answer is None:
        return None
    content = Packed(answer.content) if answer.is_packed else answer.content
    return Composed(recipients=answer.recipients, content=content, unescaped=answer.unescaped)
