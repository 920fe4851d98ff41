"""What only the thorough set does: `python -m pytest -m thorough`."""

from collections.abc import Iterable

import pytest
from _pytest.mark.structures import ParameterSet


def thorough(*values: object) -> list[ParameterSet]:
    """Values of a parameter, or of several as a tuple, that the quick set leaves out."""
    return [
        pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.thorough) for value in values
    ]


def first(count: int, values: Iterable[object]) -> list[object]:
    """All values of a parameter, or of several as tuples, of which only the first few are in the quick set."""
    every = list(values)
    return [*every[:count], *thorough(*every[count:])]


def chosen(names: Iterable[str], *quick: str) -> list[object]:
    """All names of cases, only the chosen ones in the quick set. Raises ValueError for one there is not."""
    rest = list(names)
    for name in quick:
        rest.remove(name)
    return [*quick, *thorough(*rest)]
