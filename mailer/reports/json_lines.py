"""Recipients as JSON Lines: one object a line, in UTF-8."""

from collections.abc import Iterable
from typing import TextIO

import msgspec

from mailer.reports.document import record_document
from mailer.reports.listing import Row, fill


class JsonLines:
    """Writes each row as one line under the keys of `record_document`."""

    def __init__(self, stream: TextIO) -> None:
        self._write = stream.write
        self._encode = msgspec.json.Encoder().encode

    def add(self, row: Row) -> None:
        """Write one line."""
        self._write(self._encode(record_document(row)).decode() + "\n")

    def end(self) -> None:
        """Nothing follows the last line."""


def write_json_lines(rows: Iterable[Row], stream: TextIO) -> None:
    """Write all rows to the stream, one at a time."""
    fill(JsonLines(stream), rows)
