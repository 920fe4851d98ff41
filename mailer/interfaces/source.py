"""Where rows of recipients come from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

Value = object
"""A cell: text from a CSV file; text, number, boolean, list or mapping from JSON Lines."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the source: its number (from 1, header not counted), its columns, and where it stands.

    `defect` says why the row cannot be read (too few or too many cells, not an object); its columns are then empty.
    """

    number: int
    columns: Mapping[str, Value]
    line: int | None = None
    defect: str | None = None


class RecipientSource(Protocol):
    """A list of recipients that is read as a stream. Damage raises `SourceError` that names the line."""

    @property
    def name(self) -> str:
        """How messages call it: the path as given, or `stdin`."""

    @property
    def content_hash(self) -> str | None:
        """SHA-256 of the content, or None where it has none (stdin, an iterable)."""

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The column names where the source declares them (a CSV header), else None."""

    @property
    def is_repeatable(self) -> bool:
        """True where `rows` can be called again in this run; so where there is a `content_hash`, and for a list."""

    @property
    def trimmed(self) -> tuple[str, ...]:
        """Column names that had spaces around them, as they were written."""

    def rows(self) -> Iterator[Row]:
        """Read from the beginning. A second time only where `is_repeatable`."""
