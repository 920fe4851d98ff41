"""Preview: the message of one row, complete as it would go over the wire."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from mailer.flow.intake import Intake, InvalidRowError
from mailer.flow.preparation import Prepared
from mailer.interfaces.source import Row
from mailer.policy.attachment_marks import encode_file, fill
from mailer.vocabulary.errors import SourceError

KEPT = 1_000
"""Rows from the beginning of the list that need not be read again."""

__all__ = ["InvalidRowError", "Previewed", "Previewer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Previewed:
    """A message, its row, and its envelope recipients."""

    row: int
    recipients: tuple[str, ...]
    content: bytes


class Previewer:
    """Makes single messages of a prepared campaign; reads the list as far as it has to."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._source = prepared.source.rows()
        self._kept: list[Row] = []
        self._count: int | None = None

    def count(self) -> int:
        """How many rows the list has. Raises `SourceError` for a damaged list."""
        if self._count is None:
            self._count = sum(1 for _ in self._rows())
        return self._count

    def message(self, row: int) -> Previewed:
        """The message of a row, from 1.

        Raises:
            InvalidRowError: nobody would get it, and why.
            TemplateError: it cannot be built.
            SourceError: E214 there is no such row, and what is wrong with a damaged list.
        """
        found = self._find(row)
        composed = Intake(self._prepared, self._prepared.proposal, date=datetime.now(UTC)).compose(found)
        bodies = {file.digest: encode_file(file.read()) for file in composed.attached}
        return Previewed(
            row=row,
            recipients=tuple(address for address, _ in composed.recipients),
            content=fill(composed.content, bodies) if bodies else composed.content,
        )

    def _find(self, number: int) -> Row:
        for row in self._rows():
            if row.number == number:
                return row
        name = self._prepared.source.name
        raise SourceError("E214", f"{name} has no row {number}", hint=f"--row 1   to --row {self.count()}")

    def _rows(self) -> Iterator[Row]:
        """The rows from the beginning. A list that can be read only once is known as far as it was kept."""
        yield from self._kept
        if len(self._kept) < KEPT:
            for row in self._source:
                self._kept.append(row)
                yield row
                if len(self._kept) == KEPT:
                    break
        if len(self._kept) == KEPT and self._prepared.is_resumable:
            for row in self._prepared.source.rows():
                if row.number > self._kept[-1].number:
                    yield row
