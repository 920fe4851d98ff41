"""The flags of `mailer send`: what they say together, and which of them exclude each other."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mailer.policy.asking import begin_ms, check_together, options_of
from mailer.vocabulary.send_options import SendOptions

if TYPE_CHECKING:
    from mailer.backends.sources.opening import Format

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
    render_processes: int | None = None
    skip_bad: bool = False
    stream: bool = False
    detach: bool = False
    wait: str | None = None
    transcript: bool = False
    yes: bool = False

    def check(self) -> None:
        """Raises `UsageError` E101 for flags that exclude each other, and for numbers that choose nothing."""
        further = (
            ("offset", "resume"),
            ("dry_run", "exclude_campaign"),
            ("dry_run", "at"),
            ("at", "wait"),
            ("detach", "wait"),
        )
        check_together(self, _flag, further, {"resume": 1})
        self.options()

    def options(self) -> SendOptions:
        """What they ask of this sending. `exclude` is as given: only the queue knows the whole id."""
        asked = self if self.resume is None else replace(self, offset=self.resume - 1)
        return options_of(asked, begin_ms(self.at, _flag) if self.at is not None else None)

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
            # In full, so that a template folder of that name does not come first.
            own = {"campaign.template": str(campaign.absolute()), "campaign.duplicates": "keep"}
            its_list = campaign.parent / ITS_LIST
            if its_list.is_file():
                own["campaign.recipients"] = str(its_list)
            given = {key: own.get(key) if value is None else value for key, value in given.items()}
        return given


def is_letter(campaign: Path | None) -> bool:
    """True when the argument CAMPAIGN is a single-file template."""
    return campaign is not None and campaign.is_file() and campaign.suffix != ".toml"


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
