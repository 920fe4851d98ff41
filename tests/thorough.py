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


def pairs(one: Iterable[object], other: Iterable[object]) -> list[object]:
    """All pairs of the values of two parameters; in the quick set each value is in one pair or a few."""
    ones, others = list(one), list(other)
    quick = {(place % len(ones), place % len(others)) for place in range(max(len(ones), len(others)))}
    found: list[object] = []
    for place, value in enumerate(ones):
        for other_place, other_value in enumerate(others):
            pair = value, other_value
            found += [pair] if (place, other_place) in quick else thorough(pair)
    return found


def chosen(names: Iterable[str], *quick: str) -> list[object]:
    """All names of cases, only the chosen ones in the quick set. Raises ValueError for one there is not."""
    rest = list(names)
    for name in quick:
        rest.remove(name)
    return [*quick, *thorough(*rest)]
