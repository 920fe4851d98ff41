"""The flags of `mailer send`: what they say together, and which of them exclude each other."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.send_options import SendOptions

if TYPE_CHECKING:
    from mailer.backends.sources.opening import Format

TESTED = 3
"""Rows that `--test-to` sends, unless told otherwise."""
ITS_LIST = "mailmerge_database.csv"
"""The list that lies beside a template of mailmerge's, by its own default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendFlags:
    """The flags of `mailer send`, as given; None where one was not."""

    template: str | None = None
    recipients: str | None = None
    smtp_url: str | None = None
    rate: str | None = None
    priority: int | None = None
    duplicates: str | None = None
    key: str | None = None
    new: bool = False
    append: bool = False
    at: str | None = None
    test_to: str | None = None
    limit: int | None = None
    offset: int | None = None
    resume: int | None = None
    sample: int | None = None
    exclude_campaign: str | None = None
    delimiter: str | None = None
    recipients_format: "Format | None" = None
    dry_run: bool = False
    skip_bad: bool = False
    stream: bool = False
    detach: bool = False
    wait: str | None = None
    transcript: bool = False
    yes: bool = False

    def check(self) -> None:
        """Raises `UsageError` E101 for flags that exclude each other, and for numbers that choose nothing."""
        for one, other in (
            ("new", "append"),
            ("offset", "resume"),
            ("sample", "limit"),
            ("dry_run", "exclude_campaign"),
            ("dry_run", "at"),
            ("at", "wait"),
            ("test_to", "append"),
        ):
            if getattr(self, one) and getattr(self, other):
                raise UsageError("E101", f"{_flag(one)} and {_flag(other)} exclude each other", hint="leave out one")
        for name, least in (("limit", 1), ("sample", 1), ("offset", 0), ("resume", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError("E101", f"{_flag(name)} {value}: at least {least}")

    def options(self) -> SendOptions:
        """What they ask of this sending. `exclude` is as given: only the queue knows the whole id."""
        options = SendOptions(
            skip_bad=self.skip_bad or self.stream,
            stream=self.stream,
            append=self.append,
            offset=self.resume - 1 if self.resume is not None else self.offset or 0,
            limit=self.limit,
            sample=self.sample,
            exclude=self.exclude_campaign,
            at_ms=begin_ms(self.at) if self.at is not None else None,
        )
        if self.test_to is not None and options.limit is None and options.sample is None:
            options = replace(options, limit=TESTED)
        return options

    def settings(self, campaign: Path | None) -> dict[str, object]:
        """The settings that they give, by full key. A single file as the campaign is its own template."""
        given: dict[str, object] = {
            "campaign.template": self.template,
            "campaign.recipients": self.recipients,
            "campaign.key": self.key,
            "campaign.duplicates": self.duplicates,
            "smtp.url": self.smtp_url,
            "delivery.rate": self.rate,
            "delivery.priority": self.priority,
        }
        if campaign is not None and is_letter(campaign):
            own = {"campaign.template": str(campaign), "campaign.duplicates": "keep"}
            its_list = campaign.parent / ITS_LIST
            if its_list.is_file():
                own["campaign.recipients"] = str(its_list)
            given = {key: own.get(key) if value is None else value for key, value in given.items()}
        return given


def is_letter(campaign: Path | None) -> bool:
    """True when the argument CAMPAIGN is a single-file template."""
    return campaign is not None and campaign.is_file() and campaign.suffix != ".toml"


def begin_ms(text: str) -> int:
    """Unix milliseconds of `--at`: ISO 8601, in local time without an offset. Raises `UsageError` E101."""
    try:
        at = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise UsageError("E101", f"--at {text!r} is not a time", hint="--at 2026-11-21T18:00   (local time)") from None
    if at < datetime.now(UTC):
        raise UsageError(
            "E101", f"--at {text} is in the past", hint="leave it out to begin now", safe="Nothing was sent."
        )
    return int(at.timestamp() * 1000)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
