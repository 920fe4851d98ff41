"""The budget of one render: so much processor time, so much text, and no number too long to write down."""

import time
from collections.abc import ItemsView, ValuesView

MAX_BITS = 20_000
"""Bits of an integer; Python would not print a longer one."""

_STEPS_BETWEEN_LOOKS = 64
_CHARACTERS_PER_ITEM = 8


class BudgetExceededError(Exception):
    """A render wants more than any message needs; the text says of what."""


class Budget:
    """Counts what a render spends. For one render at a time.

    Time is the processor time of the calling thread: no row fails because the machine is busy or was stopped. It is
    looked at between steps (loop bodies, calls, filters, operators). A step itself cannot be interrupted; what it works
    on is limited instead, and where its result does not follow from that, `foresight` asks beforehand.

    Known limits: a step on the largest values takes milliseconds, so very many of them in a row and without a loop
    exceed the time; comparing lists that hold each other many times over is not counted.

    Args:
        seconds: Processor time.
        characters: All text made on the way, intermediate values included.
    """

    __slots__ = ("_characters", "_seconds", "_steps", "_until")

    def __init__(self, *, seconds: float, characters: int) -> None:
        self._seconds = seconds
        self._characters = characters
        self._steps = _STEPS_BETWEEN_LOOKS
        self._until = time.thread_time() + seconds

    def step(self) -> None:
        """Count a loop body, a call, a filter. Raises `BudgetExceededError` when the time is over."""
        self._steps -= 1
        if self._steps == 0:
            self._steps = _STEPS_BETWEEN_LOOKS
            if time.thread_time() > self._until:
                raise BudgetExceededError(f"takes more than {self._seconds:g} s")

    def charge(self, characters: int) -> None:
        """Count text that is about to be made, or was. Raises `BudgetExceededError` when it is too much."""
        self._characters -= characters
        if self._characters < 0:
            raise BudgetExceededError("makes too much text")

    def charge_result(self, value: object) -> None:
        """Count what a step has made: text by its length, a collection by its items, a number by its bits."""
        if isinstance(value, str | bytes):
            self.charge(len(value))
        elif isinstance(value, int):
            check_bits(value.bit_length())
        elif isinstance(value, list | tuple | dict | set | frozenset):
            self.charge(_CHARACTERS_PER_ITEM * len(value))

    def charge_whole(self, value: object) -> None:
        """Count all text that writing `value` out would make: a list of itself twice, forty times over, is long."""
        if isinstance(value, str | bytes):
            self.charge(len(value))
        elif isinstance(value, list | tuple | set | frozenset | ValuesView | ItemsView):
            self.step()
            for item in value:
                self.charge_whole(item)
        elif isinstance(value, dict):
            self.charge_whole(value.items())
        else:
            self.charge(_CHARACTERS_PER_ITEM)


def check_bits(bits: int) -> None:
    """Raise `BudgetExceededError` for an integer that is too long."""
    if bits > MAX_BITS:
        raise BudgetExceededError(f"makes a number of {bits} bits")
