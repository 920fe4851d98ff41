"""What only the thorough set does: `python -m pytest -m thorough`."""

import pytest
from _pytest.mark.structures import ParameterSet


def thorough(*values: object) -> list[ParameterSet]:
    """Values of a parameter, or of several as a tuple, that the quick set leaves out."""
    return [
        pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.thorough) for value in values
    ]
