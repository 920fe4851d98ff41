"""Rows that a program makes: any iterable or async iterable of mappings."""

from collections.abc import Callable, Iterable, Iterator

from mailer.interfaces.source import Row
from mailer.vocabulary.errors import SourceError


class IterableSource:
    """A `RecipientSource` for items that come once. An item that is no mapping is an invalid row."""

    content_hash = None
    """Nobody knows whether a second pass would bring the same: only a key makes such a campaign resumable."""
    columns = None
    """Every item may have its own."""
    trimmed: tuple[str, ...] = ()
    """No name is changed."""

    def __init__(self, take: Callable[[], Iterable[object]], *, name: str = "recipients") -> None:
        self.name = name
        self._take: Callable[[], Iterable[object]] | None = take

    def rows(self) -> Iterator[Row]:
        """Number the items. Raises `SourceError` E201 the second time."""
        if self._take is None:
            raise SourceError("E201", f"{self.name} can be read only once", hint="hand over a new iterable")
        take, self._take = self._take, None
        for number, item in enumerate(take(), start=1):
            if isinstance(item, dict):
                yield Row(number, item)
            else:
                yield Row(number, {}, defect=f"{type(item).__name__}, not a mapping")
