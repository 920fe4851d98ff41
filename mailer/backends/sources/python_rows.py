"""Rows from a Python file: `campaign.py:rows`, a function or an iterable, plain or asynchronous."""

import importlib.util
import sys
import traceback
from asyncio import CancelledError
from collections.abc import AsyncIterable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from mailer.backends.sources.handover import HandoverError, copied, from_loop
from mailer.backends.sources.iterable import IterableSource
from mailer.vocabulary.errors import SourceError

MODULE = "mailer_campaign_file"
"""What the file is called while it is loaded: not `__main__`, so that a script that sends does not send."""


class PythonRows(IterableSource):
    """A `RecipientSource` for a name in a Python file. A function is called without arguments.

    The file is run like a script of its own, with its folder among those that are imported from, and with every right
    of the person who runs it. What it gives may differ every time, so it has no hash: only a key makes such a campaign
    resumable. It is run once; a list or a tuple that it gives can be read again. Values become what `plain_values` has:
    dates are ISO 8601 text.

    Raises:
        SourceError: E201 there is no such file; E213 it cannot be run, has no such name, gives no rows, or fails while
            it gives them, with file and line.
    """

    def __init__(self, path: Path, attribute: str, *, name: str) -> None:
        super().__init__(self._items, name=name)
        self._path = path
        self._attribute = attribute
        if not path.is_file():
            raise SourceError("E201", f"{name} cannot be read", where=name, why=f"There is no file {path}.")

    @property
    def is_repeatable(self) -> bool:
        """True where the file gives a list or a tuple. Runs it."""
        return isinstance(self._rows, list | tuple)

    @cached_property
    def _rows(self) -> object:
        with self._explained("the file cannot be run"):
            found = getattr(_run(self._path), self._attribute, None)
        if found is None:
            hint = f"def {self._attribute}(): …   in it, that yields a mapping for each recipient"
            raise self._error(f"there is no {self._attribute} in it", hint=hint)
        with self._explained(f"{self._attribute} fails"):
            return found() if callable(found) else found

    def _items(self) -> Iterator[object]:
        rows = self._rows
        with self._explained(f"{self._attribute} fails"):
            if isinstance(rows, AsyncIterable):
                rows = from_loop(rows)
            elif not isinstance(rows, Iterable) or isinstance(rows, str | bytes):
                hint = "an iterable or async iterable of mappings, or a function that returns one"
                raise self._error(f"{self._attribute} gives {type(rows).__name__}, not rows", hint=hint)
            yield from map(copied, rows)

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Turn whatever the file raises into an error that names the line in it."""
        try:
            yield
        except HandoverError as error:
            raise self._failed(what, error.raised) from error.raised
        except SourceError:
            raise
        except (Exception, SystemExit, CancelledError) as error:
            raise self._failed(what, error) from error

    def _failed(self, what: str, error: BaseException) -> SourceError:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(self._path)]
        line = frames[-1].lineno if frames else None
        if isinstance(error, SyntaxError) and error.filename == str(self._path):
            line = error.lineno
        where = f"{self._path}:{line}" if line is not None else str(self._path)
        return self._error(f"{what}: {type(error).__name__}: {error}", where=where)

    def _error(self, what: str, *, where: str | None = None, hint: str | None = None) -> SourceError:
        safe = "Nothing was accepted and nothing was sent."
        return SourceError("E213", f"{self.name}: {what}", where=where or str(self._path), hint=hint, safe=safe)


def _run(path: Path) -> object:
    """Run the file as a module of its own."""
    folder = str(path.parent)
    if folder not in sys.path:
        # At the end: an email.py beside it must not take the place of the standard library's.
        sys.path.append(folder)
    spec = importlib.util.spec_from_file_location(MODULE, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    # Data classes look their module up by its name.
    sys.modules[MODULE] = module
    spec.loader.exec_module(module)
    return module
