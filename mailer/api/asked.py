"""What a program asks of one sending: the flags of `mailer send`, as keywords."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal, TypedDict

from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.send_options import SendOptions

TESTED = 3
"""Rows that `test_to` sends, unless told otherwise."""


class SendKeywords(TypedDict, total=False):
    """The keywords of every `send` and `enqueue`. None is the same as not given."""

    key: str | None
    """Wins over the campaign's own: the same key with the same content sends nothing twice."""
    new: bool
    """Another campaign, although this content was sent before."""
    append: bool
    """Add the new recipients of another list to the campaign of this key."""
    skip_bad: bool
    """Rows that cannot be built become `failed`, and the others go; else they stop everything."""
    stream: bool
    """Workers begin before the list has been read to its end; implies `skip_bad`. For lists of any length."""
    limit: int | None
    """At most so many rows."""
    offset: int | None
    """Pass over so many rows at the beginning."""
    sample: int | None
    """So many rows, spread over the list."""
    exclude_campaign: str | None
    """Leave out the recipients of the campaign with this id, or an unambiguous beginning of it."""
    at: datetime | str | None
    """When to begin, a datetime or ISO 8601; local time without an offset. A worker must run then."""
    rate: str | Sequence[str] | None
    """No faster than `"20/s"`, over all workers together; of several, all are kept."""
    priority: int | None
    """Before campaigns with a lower one (default 0)."""
    duplicates: Literal["first", "keep"] | None
    """Of several rows with one address, send the first or every one."""
    test_to: str | None
    """Send the first 3 rows (or `limit`, or `sample`) to this address alone, as a campaign of its own."""
    delimiter: str | None
    """Of a CSV file, where it is ambiguous."""
    recipients_format: Literal["csv", "jsonl"] | None
    """Of a file whose name does not tell."""
    smtp_url: str | None
    """Wins over the campaign's mail server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """`SendKeywords` with their defaults, made with `Asked(**keywords)`: a wrong name is Python's own TypeError.

    Raises `UsageError` E101 for keywords that exclude each other, and for values that mean nothing.
    """

    key: str | None = None
    new: bool = False
    append: bool = False
    skip_bad: bool = False
    stream: bool = False
    limit: int | None = None
    offset: int | None = None
    sample: int | None = None
    exclude_campaign: str | None = None
    at: datetime | str | None = None
    rate: str | Sequence[str] | None = None
    priority: int | None = None
    duplicates: Literal["first", "keep"] | None = None
    test_to: str | None = None
    delimiter: str | None = None
    recipients_format: Literal["csv", "jsonl"] | None = None
    smtp_url: str | None = None

    def __post_init__(self) -> None:
        for one, other in (("new", "append"), ("test_to", "append"), ("sample", "limit")):
            if getattr(self, one) and getattr(self, other):
                raise UsageError("E101", f"{one} and {other} exclude each other", hint="leave out one")
        for name, least in (("limit", 1), ("sample", 1), ("offset", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError("E101", f"{name}={value}: at least {least}")

    @property
    def settings(self) -> dict[str, object]:
        """The settings among them, by full key."""
        given = {
            "campaign.key": self.key,
            "campaign.duplicates": self.duplicates,
            "delivery.rate": (self.rate,) if isinstance(self.rate, str) else self.rate,
            "delivery.priority": self.priority,
            "smtp.url": self.smtp_url,
        }
        return {key: value for key, value in given.items() if value is not None}

    @property
    def options(self) -> SendOptions:
        """The others. `exclude` is as given: only the queue knows the whole id."""
        options = SendOptions(
            skip_bad=self.skip_bad or self.stream,
            stream=self.stream,
            append=self.append,
            offset=self.offset or 0,
            limit=self.limit,
            sample=self.sample,
            exclude=self.exclude_campaign,
            at_ms=_begin_ms(self.at) if self.at is not None else None,
        )
        if self.test_to is not None and options.limit is None and options.sample is None:
            options = replace(options, limit=TESTED)
        return options


def _begin_ms(at: datetime | str) -> int:
    """Unix milliseconds of a time to come."""
    try:
        begin = (datetime.fromisoformat(at) if isinstance(at, str) else at).astimezone(UTC)
    except ValueError:
        raise UsageError("E101", f"at={at!r} is not a time", hint='at="2026-11-21T18:00"   (local time)') from None
    if begin < datetime.now(UTC):
        raise UsageError("E101", f"at={at} is in the past", hint="leave it out to begin now", safe="Nothing was sent.")
    return int(begin.timestamp() * 1000)
