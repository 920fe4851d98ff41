"""The JSON document of a report together with the recipients that were asked for, streamed."""

from collections.abc import Sequence
from typing import TextIO

from mailer.reports.document import report_json
from mailer.reports.json_lines import encode_lines
from mailer.reports.listing import Row
from mailer.vocabulary.line import Line, line_of
from mailer.vocabulary.report import Report


class JsonDocument:
    """Writes the document of `report_json` with one more key, `recipients`: a list of records under `RECORD_KEYS`."""

    def __init__(self, report: Report, stream: TextIO) -> None:
        self._write = stream.write
        self._between = ""
        self._write(report_json(report).removesuffix("}") + ',"recipients":[')

    def add(self, row: Row) -> None:
        """Write one record."""
        self.extend((line_of(row),))

    def extend(self, lines: Sequence[Line]) -> None:
        """Write many records."""
        if lines:
            # No line break can stand within a record: JSON writes those of the data as escapes.
            self._write(self._between + encode_lines(lines).rstrip("\n").replace("\n", ","))
            self._between = ","

    def end(self) -> None:
        """Close the list and the document."""
        self._write("]}\n")
