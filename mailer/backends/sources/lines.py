"""Lines of text from bytes: strict UTF-8, in bounded memory, every damage with its line number."""

import io
import re
from collections.abc import Iterator
from itertools import chain

from mailer.vocabulary.errors import SourceError

MAX_ROW = 2_000_000
"""Characters of one row, over all its lines. Nobody writes such rows: a line end or a quote is missing."""

_HINT = "save it as UTF-8 (in a spreadsheet: CSV UTF-8), or: iconv -f {} -t UTF-8"
_BYTE_ORDER_MARKS = (
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
# A byte that is no UTF-8 is decoded as one of these, so that only its own line is in trouble.
_BROKEN = re.compile("[\udc80-\udcff]")


def damage(name: str, line: int, what: str, *, why: str | None = None, hint: str | None = None) -> SourceError:
    """The error for a source whose content is broken at a line (from 1): E204."""
    hint = hint or f"mend line {line} and run the same command again"
    return SourceError("E204", f"{name} line {line}: {what}", where=f"{name}:{line}", why=why, hint=hint)


class Lines:
    """The lines of a stream with their ends (LF, CRLF or CR, kept as they are), a byte order mark left out.

    Whoever reads sets `held`, the characters since the last complete row, back to 0 after each row. Reading raises
    `SourceError` E204 for bytes that are not UTF-8, NUL, and more than `MAX_ROW` characters held. The stream is closed
    with this object.
    """

    def __init__(self, stream: io.BufferedReader, name: str) -> None:
        self.held = 0
        self._name = name
        self._head = stream.peek(4)[:4]
        self._text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
        self._fresh = self._checked()
        self._kept: list[str] | None = []

    def peek(self) -> Iterator[str]:
        """From the first line, as often as needed, until `read` is called: everything read is kept."""
        kept = self._kept
        if kept is None:
            raise self._read_twice()
        self.held = sum(map(len, kept))
        yield from tuple(kept)
        for line in self._fresh:
            kept.append(line)
            yield line

    def read(self) -> Iterator[str]:
        """From the first line to the end, once."""
        kept, self._kept, self.held = self._kept, None, 0
        if kept is None:
            raise self._read_twice()
        return chain(kept, self._fresh)

    def _read_twice(self) -> SourceError:
        return SourceError("E201", f"{self._name} can be read only once", hint="put the list into a file")

    def _checked(self) -> Iterator[str]:
        readline = self._text.readline
        number = 0
        while line := readline(MAX_ROW + 1):
            number += 1
            self.held += len(line)
            if self.held > MAX_ROW:
                why = "A line end or a quote may be missing."
                raise damage(self._name, number, f"a row of more than {MAX_ROW} characters", why=why)
            if "\0" in line or (not line.isascii() and _BROKEN.search(line) is not None):
                raise self._broken(number, line)
            yield line

    def _broken(self, number: int, line: str) -> SourceError:
        encoding = self._other_encoding() if number == 1 else None
        if encoding is not None:
            return damage(self._name, 1, f"the file is {encoding}, not UTF-8", hint=_HINT.format(encoding))
        if "\0" in line:
            return damage(self._name, number, f"a NUL character at character {line.index(chr(0)) + 1}")
        broken = _BROKEN.search(line)
        where = f" at character {broken.start() + 1} (byte 0x{ord(broken[0]) - 0xDC00:02x})" if broken else ""
        return damage(self._name, number, f"not UTF-8{where}", hint=_HINT.format("WINDOWS-1252"))

    def _other_encoding(self) -> str | None:
        """The encoding that the first bytes give away."""
        for mark, encoding in _BYTE_ORDER_MARKS:
            if self._head.startswith(mark):
                return encoding
        # Without a mark, ASCII text in UTF-16 has a NUL in every second byte.
        nuls = [byte == 0 for byte in self._head]
        return "UTF-16" if nuls in ([True, False, True, False], [False, True, False, True]) else None
