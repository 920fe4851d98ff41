"""What a program asks of one sending: the flags of `mailer send`, as keywords."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypedDict

from mailer.policy.asking import begin_ms, check_together, options_of
from mailer.vocabulary.send_options import SendOptions


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
    render_processes: int | None
    """How many processes render, this one among them (default: by the processors, 1 for a short list)."""
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
    render_processes: int | None = None
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
        check_together(self, str)

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
        return options_of(self, begin_ms(self.at, str) if self.at is not None else None)
