"""Durations, sizes and rates as people write them: `30s`, `10MB`, `20/s`."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_PERIODS = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "hour": 3600.0, "d": 86400.0, "day": 86400.0}
_QUANTITY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]+)\s*")
_RATE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*/\s*([a-zA-Z]+)\s*")


def parse_duration(text: object) -> float:
    """Seconds of `30s`, `10m`, `2h`, `2d` or `250ms`; a bare number is seconds. Raises ValueError."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        return float(text)
    match = _QUANTITY.fullmatch(text) if isinstance(text, str) else None
    if match is None or match[2] not in _SECONDS:
        raise ValueError(f"{text!r} is not a duration: write 30s, 10m, 2h or 2d")
    return float(match[1]) * _SECONDS[match[2]]


def parse_size(text: object) -> int:
    """Bytes of `10MB` (10^6), `256MiB` (2^20) and the like; a bare number is bytes. Raises ValueError."""
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    match = _QUANTITY.fullmatch(text) if isinstance(text, str) else None
    if match is None or match[2].lower() not in _BYTES:
        raise ValueError(f"{text!r} is not a size: write 500KB, 10MB or 256MiB")
    return int(float(match[1]) * _BYTES[match[2].lower()])


def parse_rate(text: object) -> "Rate":
    """`20/s`, `600/min`, `10000/h` as a `Rate`. Raises ValueError."""
    if isinstance(text, Rate):
        return text
    match = _RATE.fullmatch(text) if isinstance(text, str) else None
    if match is None or match[2] not in _PERIODS or float(match[1]) <= 0:
        raise ValueError(f"{text!r} is not a rate: write 20/s, 600/min or 10000/h")
    return Rate(float(match[1]), _PERIODS[match[2]])


def parse_rates(value: object) -> "tuple[Rate, ...]":
    """One rate, or a list of them. Raises ValueError."""
    return tuple(parse_rate(item) for item in value) if isinstance(value, list | tuple) else (parse_rate(value),)


@dataclass(frozen=True, slots=True)
class Rate:
    """So many messages in so many seconds."""

    messages: float
    seconds: float

    def __str__(self) -> str:
        name = next(name for name, seconds in _PERIODS.items() if seconds == self.seconds)
        return f"{self.messages:g}/{name}"


class _Reads:
    """Tells pydantic how a quantity is read, without making the vocabulary depend on pydantic."""

    def __init__(self, parse: Any) -> None:
        self.parse = parse

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> "CoreSchema":
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(self.parse)


Duration = Annotated[float, _Reads(parse_duration)]
"""Seconds, written as `30s`, `10m`, `2h`, `2d`."""
Size = Annotated[int, _Reads(parse_size)]
"""Bytes, written as `10MB` or `256MiB`."""
RateSetting = Annotated[Rate, _Reads(parse_rate)]
"""Messages in a period, written as `20/s`."""
RatesSetting = Annotated[tuple[Rate, ...], _Reads(parse_rates)]
"""One or several of them: `20/s`, or `["10/s", "300/min"]`."""
