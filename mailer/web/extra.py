"""The `[web]` extra: what to say where it is not installed."""

from collections.abc import Iterator
from contextlib import contextmanager

from mailer.vocabulary.errors import UsageError

_EXTRA = frozenset({"starlette", "uvicorn", "sse_starlette", "anyio", "h11", "click"})
"""What the extra brings, as Python imports it."""


@contextmanager
def web_extra(what: str) -> Iterator[None]:
    """Import the pages within this block. Raises `UsageError` E134, which names `what`, where the extra is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name not in _EXTRA:
            raise
        raise UsageError(
            "E134",
            f"{what} needs {name}, which is not installed",
            why="Pages in a browser are an extra.",
            hint="pip install '.[web]'",
        ) from error
