"""What may be asked of one sending together, the same for flags and for keywords."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.send_options import SendOptions

TESTED = 3
"""Rows that a test sends, unless told otherwise."""
_EXCLUSIVE = (("new", "append"), ("sample", "limit"), ("test_to", "append"))
_LEAST = {"limit": 1, "sample": 1, "offset": 0}


class Asked(Protocol):
    """The flags or keywords that become `SendOptions`."""

    @property
    def new(self) -> bool:
        """Another campaign, although this content was sent before."""

    @property
    def append(self) -> bool:
        """Add the new recipients of another list."""

    @property
    def skip_bad(self) -> bool:
        """Rows that cannot be built become `failed`."""

    @property
    def stream(self) -> bool:
        """Workers begin before the list has been read to its end."""

    @property
    def limit(self) -> int | None:
        """At most so many rows."""

    @property
    def offset(self) -> int | None:
        """Pass over so many rows."""

    @property
    def sample(self) -> int | None:
        """So many rows, spread over the list."""

    @property
    def exclude_campaign(self) -> str | None:
        """The campaign whose recipients are left out."""

    @property
    def test_to(self) -> str | None:
        """The one address of a test."""


Named = Callable[[str], str]
"""How a person writes what has this name here: `--test-to` for `test_to`."""


def check_together(
    asked: object, named: Named, exclusive: tuple[tuple[str, str], ...] = (), least: dict[str, int] | None = None
) -> None:
    """Raise `UsageError` E101 for what excludes each other, and for numbers that choose nothing.

    `exclusive` and `least` are further pairs and bounds.
    """
    for one, other in (*_EXCLUSIVE, *exclusive):
        if getattr(asked, one) and getattr(asked, other):
            raise UsageError("E101", f"{named(one)} and {named(other)} exclude each other", hint="leave out one")
    for name, bound in (_LEAST | (least or {})).items():
        value = getattr(asked, name)
        if value is not None and value < bound:
            raise UsageError("E101", f"{named(name)} {value}: at least {bound}")


def options_of(asked: Asked, at_ms: int | None) -> SendOptions:
    """The options. `exclude` is as given: only the queue knows the whole id."""
    is_short = asked.test_to is not None and asked.limit is None and asked.sample is None
    return SendOptions(
        skip_bad=asked.skip_bad or asked.stream,
        stream=asked.stream,
        append=asked.append,
        offset=asked.offset or 0,
        limit=TESTED if is_short else asked.limit,
        sample=asked.sample,
        exclude=asked.exclude_campaign,
        at_ms=at_ms,
    )


def begin_ms(at: datetime | str, named: Named) -> int:
    """Unix milliseconds of a time to come: ISO 8601, in local time without an offset. Raises `UsageError` E101."""
    try:
        begin = (datetime.fromisoformat(at) if isinstance(at, str) else at).astimezone(UTC)
    except (ValueError, OverflowError):
        hint = f"{named('at')} 2026-11-21T18:00   (local time)"
        raise UsageError("E101", f"{named('at')} {at!r} is not a time", hint=hint) from None
    if begin < datetime.now(UTC):
        hint = "leave it out to begin now"
        raise UsageError("E101", f"{named('at')} {at} is in the past", hint=hint, safe="Nothing was sent.")
    return int(begin.timestamp() * 1000)
