"""Foresight: what an operation will cost, asked before it is done, where its result can dwarf what goes in."""

import re
from collections.abc import Callable, Mapping, Sequence, Sized
from math import prod

from mailer.policy.rendering.budget import Budget, BudgetExceededError, check_bits

MAX_WIDTH = 100_000
"""The largest width, precision or count that an operation takes."""

_WIDTH_OF_PERCENT = re.compile(r"%(?:\([^)]*\))?[-#0 +]*(?:\*|\d{4}|\d*\.(?:\*|\d{4}))")
_WIDTH_OF_FORMAT = re.compile(r"\{[^{}]*:[^{}]*(?:\d{4}|\{)")


def foresee_operator(budget: Budget, operator: str, left: object, right: object) -> None:
    """Charge `+`, `*`, `**` or `%` before it is done. Raises `BudgetExceededError`."""
    match operator, left, right:
        case "+", Sized(), Sized():
            budget.charge(len(left) + len(right))
        case "*", int(), int():
            check_bits(left.bit_length() + right.bit_length())
        case ("*", Sized() as many, int() as times) | ("*", int() as times, Sized() as many):
            budget.charge(len(many) * max(times, 0) * (1 if isinstance(many, str) else 8))
        case "**", int(), int():
            check_bits(left.bit_length() * max(right, 0))
        case "%", str(), _:
            _foresee_format(budget, left, (right,))


def check_format(text: str) -> None:
    """Raise `BudgetExceededError` for a text for `str.format` with a width that is long or comes from a value."""
    if _WIDTH_OF_FORMAT.search(text) is not None:
        raise BudgetExceededError("formats with too large a width")


def _foresee_padding(budget: Budget, value: object, arguments: Sequence[object]) -> None:
    budget.charge(_width(arguments))


def _foresee_indent(budget: Budget, value: object, arguments: Sequence[object]) -> None:
    budget.charge((_text(value).count("\n") + 1) * max(_width(arguments), _longest(arguments)))


def _foresee_replace(budget: Budget, value: object, arguments: Sequence[object]) -> None:
    if len(arguments) >= 2:
        budget.charge(str(value).count(str(arguments[0])) * len(str(arguments[1])))


def _foresee_join(budget: Budget, value: object, arguments: Sequence[object]) -> None:
    # The method has the items as its argument, the filter has the separator there.
    items = arguments[0] if arguments and not isinstance(arguments[0], str) else value
    if isinstance(items, Sized):
        budget.charge(max(len(_text(value)), _longest(arguments)) * len(items))
    budget.charge_whole(items)


def _foresee_format(budget: Budget, value: object, arguments: Sequence[object]) -> None:
    if _WIDTH_OF_PERCENT.search(_text(value)) is not None:
        raise BudgetExceededError("formats with too large a width")
    for argument in arguments:
        budget.charge_whole(argument)


def _foresee_lorem_ipsum(budget: Budget, value: object, arguments: Sequence[object]) -> None:
    budget.charge(1_000 * prod(argument for argument in arguments if isinstance(argument, int)))


def _foresee_writing(budget: Budget, value: object, arguments: Sequence[object]) -> None:
    budget.charge_whole(value)


def _foresee_searching(budget: Budget, value: object, arguments: Sequence[object]) -> None:
    # These look at the rest of the text again and again.
    length = len(_text(value))
    budget.charge(length * (_longest(arguments) + length // 2_000))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _longest(arguments: Sequence[object]) -> int:
    return max((len(argument) for argument in arguments if isinstance(argument, str)), default=0)


def _width(arguments: Sequence[object]) -> int:
    width = max((argument for argument in arguments if isinstance(argument, int)), default=0)
    if width > MAX_WIDTH:
        raise BudgetExceededError(f"asks for a width or count of {width}")
    return max(width, 0)


FORESIGHT: Mapping[str, Callable[[Budget, object, Sequence[object]], None]] = {
    **dict.fromkeys(("batch", "center", "ljust", "rjust", "round", "slice", "zfill"), _foresee_padding),
    **dict.fromkeys(("e", "escape", "forceescape", "pprint", "string", "tojson"), _foresee_writing),
    **dict.fromkeys(("urlencode", "xmlattr"), _foresee_writing),
    **dict.fromkeys(("striptags", "urlize", "wordwrap"), _foresee_searching),
    "format": _foresee_format,
    "generate_lorem_ipsum": _foresee_lorem_ipsum,
    "indent": _foresee_indent,
    "join": _foresee_join,
    "replace": _foresee_replace,
}
"""Filters, methods and functions by name, with what to ask before: given the budget, the value, and the arguments."""
