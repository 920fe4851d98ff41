"""Rows that a program makes: any iterable or async iterable of mappings."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from mailer.backends.sources.handover import copied
from mailer.interfaces.source import Row
from mailer.vocabulary.errors import SourceError


class IterableSource:
    """A `RecipientSource` for items of any iterable. An item that is no mapping is an invalid row.

    Args:
        given: A list or another sequence, which can be read again, or a function that gives the items once, as `copied`
            has them.
        name: How messages call it.
    """

    content_hash = None
    """Nobody knows whether a second run would bring the same: only a key makes such a campaign resumable."""
    columns = None
    """Every item may have its own."""
    trimmed: tuple[str, ...] = ()
    """No name is changed."""

    def __init__(self, given: Callable[[], Iterable[object]] | Sequence[object], *, name: str = "recipients") -> None:
        self.name = name
        self._given = given
        self._is_read = False

    @property
    def is_repeatable(self) -> bool:
        """True where the items can be read again, in this run."""
        return not callable(self._given)

    def rows(self) -> Iterator[Row]:
        """Number the items. Raises `SourceError` E201 the second time, unless they can be read again."""
        if self._is_read and not self.is_repeatable:
            raise SourceError("E201", f"{self.name} can be read only once", hint="hand over a new iterable, or a list")
        self._is_read = True
        items = self._given() if callable(self._given) else map(copied, self._given)
        for number, item in enumerate(items, start=1):
            if isinstance(item, dict):
                yield Row(number, item)
            else:
                yield Row(number, {}, defect=f"{type(item).__name__}, not a mapping")
