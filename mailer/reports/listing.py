"""The form every document has that lists recipients: rows are added as they come, and then it ends."""

from collections.abc import Sequence
from typing import Protocol

from mailer.vocabulary.line import Line
from mailer.vocabulary.recipient import LeftOut
from mailer.vocabulary.report import RecipientRecord

Row = RecipientRecord | LeftOut
"""A recipient, or a row of the source that never became one."""


class Listing(Protocol):
    """A document being written to a text stream, in bounded memory. The stream is the caller's to open and to close.

    Rows are pushed, so that one pass over the ledger, asynchronous or not, can fill several documents alike.
    """

    def add(self, row: Row) -> None:
        """Write one row; a document that shows only some rows ignores the others."""

    def extend(self, lines: Sequence[Line]) -> None:
        """Write many rows at once, which is what costs least."""

    def end(self) -> None:
        """Write what comes after the last row. Nothing may be added afterwards."""
