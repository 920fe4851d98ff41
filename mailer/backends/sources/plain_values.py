"""Plain values: what a database or a program puts into a row, as a template can have it."""

from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from uuid import UUID

_PLAIN = frozenset({str, int, float, bool, type(None)})


def plain_values(row: Mapping[str, object]) -> dict[str, object]:
    """The row as a new dict with names that are text, and values that templates have.

    A date, a time or both become ISO 8601 text, `Decimal` and `UUID` become text, a tuple becomes a list, also inside
    of lists and dicts. Everything else stays what it is, and a template refuses what is no plain data: bytes come as
    text from the list itself (`select encode(column, 'hex')`, `value.decode()`).
    """
    plain = {str(name): value for name, value in row.items()}
    for name, value in plain.items():
        if type(value) not in _PLAIN:
            try:
                plain[name] = _plain(value)
            except RecursionError:
                # It holds itself, or nearly: the template says so, of this row alone.
                plain[name] = value
    return plain


def _plain(value: object) -> object:
    if type(value) in _PLAIN:
        return value
    if type(value) is dict:
        return {name: _plain(inner) for name, inner in value.items()}
    if type(value) is list or isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal | UUID) else value
