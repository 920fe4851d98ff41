"""The others: each module here has a tuple `RUNNERS`, and is found by being here."""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from benchmarks.course import Runner


def runners() -> Iterator[Runner]:
    """All of them."""
    for module in iter_modules(__path__):
        yield from import_module(f"{__name__}.{module.name}").RUNNERS
