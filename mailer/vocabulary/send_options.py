"""What somebody may ask of one sending, besides the settings of the campaign."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOptions:
    """The options of `mailer send` and of `send()` that are no settings.

    `skip_bad` books rows that cannot be built as failed instead of refusing all. `stream` (which implies it) lets
    workers begin before the source has been read to the end. `append` adds the recipients of another list to the
    campaign of this key. `offset`, `limit` and `sample` choose rows: none before the offset, at most so many, or so
    many spread over all. `exclude` leaves out whoever is a recipient of that campaign (its id). `at_ms` is the time to
    begin, Unix milliseconds; None is now.
    """

    skip_bad: bool = False
    stream: bool = False
    append: bool = False
    offset: int = 0
    limit: int | None = None
    sample: int | None = None
    exclude: str | None = None
    at_ms: int | None = None

    @property
    def chooses(self) -> bool:
        """True when not all rows are asked for."""
        return bool(self.offset) or self.limit is not None or self.sample is not None
