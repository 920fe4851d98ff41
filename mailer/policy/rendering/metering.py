"""Metering: the budget of the render that is going on, and what makes a template pay into it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, wraps
from typing import Any

from markupsafe import Markup

from mailer.policy.rendering.budget import Budget
from mailer.policy.rendering.foresight import FORESIGHT, foresee_operator

_budget: ContextVar[Budget] = ContextVar("render_budget")
_ATOMS = frozenset({str, Markup, int, float, bool, type(None)})


@contextmanager
def limited_to(*, seconds: float, characters: int) -> Iterator[None]:
    """Give what is rendered inside a budget of its own; outside of one nothing can be rendered."""
    token = _budget.set(Budget(seconds=seconds, characters=characters))
    try:
        yield
    finally:
        _budget.reset(token)


def step(context: object) -> None:
    """Pay for one run through a loop, macro, block or template; as a filter it is given the context."""
    _budget.get().step()


def collect(pieces: Iterable[str]) -> list[str]:
    """The pieces of an output, paid for before they become one text."""
    collected = list(pieces)
    _budget.get().charge(sum(map(len, collected)))
    return collected


def join(pieces: Iterable[str]) -> str:
    """Join pieces of output, paid for as `collect` has it."""
    return "".join(collect(pieces))


def written(value: object) -> object:
    """The value itself, once the text that it is about to be written as is paid for."""
    # Texts are paid for where they are joined.
    if type(value) not in _ATOMS:
        _budget.get().charge_whole(value)
    return value


def operate(operation: Callable[[Any, Any], Any], operator: str, left: object, right: object) -> Any:
    """Do an arithmetic operation, paid for."""
    budget = _budget.get()
    budget.step()
    foresee_operator(budget, operator, left, right)
    result = operation(left, right)
    budget.charge_result(result)
    return result


def foresee_call(called: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    """Pay for a call before it is done; the arguments to do it with."""
    budget = _budget.get()
    budget.step()
    name = getattr(called, "__name__", "")
    if name in FORESIGHT:
        args = _readable(name, args)
        FORESIGHT[name](budget, getattr(called, "__self__", None), (*args, *kwargs.values()))
    return args


def charge_result(value: object) -> None:
    """Pay for what a call has made."""
    _budget.get().charge_result(value)


def metered(functions: Mapping[str, Any]) -> dict[str, Any]:
    """Filters or tests by name, each of them paying for itself."""
    return {name: _pays(name, function) for name, function in functions.items()}


@cache
def _pays(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    foresee = FORESIGHT.get(name)
    # Jinja2 hands some of them the context or the environment before the value.
    first = 1 if hasattr(function, "jinja_pass_arg") else 0

    @wraps(function)
    def pays(*args: Any, **kwargs: Any) -> Any:
        budget = _budget.get()
        budget.step()
        if foresee is not None:
            args = _readable(name, args)
            foresee(budget, args[first], (*args[first + 1 :], *kwargs.values()))
        result = function(*args, **kwargs)
        budget.charge_result(result)
        return result

    return pays


def _readable(name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """What is joined is read twice, so an iterator must become a list."""
    if name != "join":
        return args
    return tuple(list(argument) if isinstance(argument, Iterator) else argument for argument in args)
