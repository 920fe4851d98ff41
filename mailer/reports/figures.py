"""Counts, times and spans: as people read them, and times as programs read them."""

from datetime import UTC, datetime

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


def moment(time: datetime) -> str:
    """ISO 8601 in UTC with milliseconds, for programs: `2026-11-21T07:21:28.123Z`. The time must be aware."""
    if time.tzinfo is not UTC:
        time = time.astimezone(UTC)
    return time.isoformat("T", "milliseconds")[:-6] + "Z"


def clock(time: datetime) -> str:
    """The same to the second, for people: `2026-11-21 07:21:28Z`."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def grouped(number: int) -> str:
    """Digits in groups of three: `1 000`."""
    return f"{number:,}".replace(",", " ")


def share(part: int, whole: int) -> str:
    """A part in per cent, never rounded to all or to nothing: `98.7 %`, `< 0.1 %`, `> 99.9 %`; of nothing, empty."""
    if whole <= 0:
        return ""
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.1f} %"


def span(seconds: float) -> str:
    """A length of time in its two largest units: `2.1 s`, `42 s`, `12 min 5 s`, `3 h 12 min`, `2 d`."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    units = (*_UNITS, ("s", 1))
    largest = next(place for place, (_, size) in enumerate(units) if whole >= size)
    (name, size), (smaller_name, smaller) = units[largest : largest + 2]
    rest = whole % size // smaller
    return f"{whole // size} {name} {rest} {smaller_name}" if rest else f"{whole // size} {name}"


def about(seconds: float) -> str:
    """A length of time in one unit, for what is not exact anyway: `40 s`, `5 min`, `4 h`, `2 d`."""
    for name, size in _UNITS:
        if seconds >= 1.5 * size:
            return f"{round(seconds / size)} {name}"
    return f"{max(round(seconds), 0)} s"
