"""Recipients as JSON Lines: one object a line, in UTF-8."""

from collections.abc import Iterable, Sequence
from typing import TextIO

import msgspec

from mailer.reports.listing import Row
from mailer.vocabulary.line import Line, line_of

_Object = msgspec.defstruct("_Object", [(name, object) for name in Line._fields], rename={"failure": "class"}, gc=False)
"""A line under the keys of a record, as the encoder wants it."""


_encode = msgspec.json.Encoder().encode_lines


def encode_lines(lines: Iterable[Line]) -> str:
    """Each as an object under `RECORD_KEYS`, followed by a line break."""
    return _encode([_Object(*line) for line in lines]).decode()


class JsonLines:
    """Writes each row as one line under `RECORD_KEYS`."""

    def __init__(self, stream: TextIO) -> None:
        self._write = stream.write

    def add(self, row: Row) -> None:
        """Write one line."""
        self.extend((line_of(row),))

    def extend(self, lines: Sequence[Line]) -> None:
        """Write many lines."""
        self._write(encode_lines(lines))

    def end(self) -> None:
        """Nothing follows the last line."""
