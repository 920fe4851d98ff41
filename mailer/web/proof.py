"""The proof of a campaign: its messages row by row, made anew when its files change."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mailer.flow.preview import Previewed
from mailer.web.trouble import Trouble, trouble_of


class Messages(Protocol):
    """Makes single messages; `mailer.flow.preview.Previewer` does."""

    def count(self) -> int:
        """How many rows there are."""

    def message(self, row: int) -> Previewed:
        """The message of a row, from 1. Raises `MailerError` and `InvalidRowError`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A look at one row: the message, or the trouble with it. `rows` is None while the list cannot be read."""

    row: int
    rows: int | None = None
    previewed: Previewed | None = None
    trouble: Trouble | None = None


class Proof:
    """Looks at rows from any thread. `prepare` loads the campaign from its files; whatever it raises is shown."""

    def __init__(self, prepare: Callable[[], Messages]) -> None:
        self._prepare = prepare
        self._lock = threading.Lock()
        self._messages: Messages | None = None
        self._trouble: Trouble | None = None
        self._last: Look | None = None
        self.renew()

    def renew(self) -> None:
        """Load the campaign again; trouble with it is kept to be shown."""
        with self._lock:
            self._messages = self._trouble = self._last = None
            try:
                self._messages = self._prepare()
            except Exception as error:
                self._trouble = trouble_of(error, 0)

    def fail(self, error: Exception) -> None:
        """Show why the files cannot be followed, until the campaign is loaded again."""
        with self._lock:
            self._messages = self._last = None
            self._trouble = trouble_of(error, 0)

    def look(self, row: int) -> Look:
        """The message of a row; the same one until something changes or another row is looked at."""
        with self._lock:
            if self._last is None or self._last.row != row:
                self._last = self._look(row)
            return self._last

    def _look(self, row: int) -> Look:
        if self._messages is None:
            return Look(row=row, trouble=self._trouble)
        rows: int | None = None
        try:
            rows = self._messages.count()
            return Look(row=row, rows=rows, previewed=self._messages.message(row))
        except Exception as error:
            return Look(row=row, rows=rows, trouble=trouble_of(error, row))
