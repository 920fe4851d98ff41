"""A campaign as a script writes it: what is sent, from whom, to whom."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack, overload

from mailer.api.asked import SendKeywords
from mailer.config.layer import Layer
from mailer.config.loading import load
from mailer.config.merging import merge
from mailer.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from mailer.api.handle import Handle
    from mailer.api.report import Report
    from mailer.backends.sources.handover import Rows
    from mailer.config.configuration import Configuration
    from mailer.vocabulary.settings import CampaignSettings


class Campaign:
    """What `[campaign]` of a TOML file says, as keywords.

    `recipients` is a file (CSV, JSON Lines, `people.xlsx#Sheet2`), rows of a Python file (`campaign.py:rows`), or any
    iterable or async iterable of mappings. What a program makes has no content that could be recognised, so only with a
    `key` is running twice the same as running once. `attachments` are files below `folder`, each a Jinja2 path;
    `sender` may be missing where a single-file template names it. Relative paths start at `folder` (default: the
    current one).

    The mail server, the queue and the delivery settings come from the environment and the configuration files, as for
    every command.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        template: str,
        sender: str | None = None,
        recipients: "str | Path | Rows",
        key: str | None = None,
        subject: str | None = None,
        to: str | None = None,
        reply_to: str | None = None,
        cc: str | None = None,
        bcc: str | None = None,
        headers: Mapping[str, str] | None = None,
        attachments: Sequence[str | Path] | None = None,
        envelope_sender: str | None = None,
        email_column: str | None = None,
        list_id: str | None = None,
        unsubscribe_url: str | None = None,
        duplicates: Literal["first", "keep"] | None = None,
        inline_css: bool | None = None,
        folder: str | Path | None = None,
    ) -> None:
        given: dict[str, object] = {
            "name": name,
            "template": template,
            "sender": sender,
            "key": key,
            "subject": subject,
            "to": to,
            "reply_to": reply_to,
            "cc": cc,
            "bcc": bcc,
            "attachments": _paths(attachments),
            "headers": dict(headers) if headers is not None else None,
            "envelope_sender": envelope_sender,
            "email_column": email_column,
            "list_id": list_id,
            "unsubscribe_url": unsubscribe_url,
            "duplicates": duplicates,
            "inline_css": inline_css,
        }
        self._set_recipients(recipients)
        self.path: Path | None = None
        """The TOML file, where the campaign is one."""
        self._folder = Path.cwd() / folder if folder is not None else Path.cwd()
        self._settings: CampaignSettings | None = _checked(given, self._folder)

    @classmethod
    def from_toml(cls, path: str | Path, *, recipients: "str | Path | Rows | None" = None) -> "Campaign":
        """The campaign of a TOML file, or of a folder with `mailer.toml`; `recipients` wins over the file's.

        Raises `UsageError` E108 at once when it is not there; what stands in it is read when it is sent.
        """
        if not Path(path).exists():
            raise UsageError("E108", f"there is no file {path}", hint="check the name and the folder")
        campaign = cls.__new__(cls)
        campaign._set_recipients(recipients)
        campaign.path, campaign._folder, campaign._settings = Path(path).absolute(), Path.cwd(), None
        return campaign

    def _set_recipients(self, recipients: "str | Path | Rows | None") -> None:
        self.rows: Rows | None = None
        """The iterable of recipients, where it is none of a file's."""
        self._list: str | None = None
        if isinstance(recipients, str | Path):
            self._list = str(recipients)
        elif recipients is not None:
            self.rows = recipients
            if not hasattr(recipients, "__iter__") and not hasattr(recipients, "__aiter__"):
                raise UsageError(
                    "E101",
                    f"recipients cannot be {type(recipients).__name__}",
                    hint="a file name, or an iterable or async iterable of mappings",
                )

    def configuration(
        self, environ: Mapping[str, str], env_file: Path | None, flags: Mapping[str, object]
    ) -> "Configuration":
        """Every setting of this campaign: its own, and what environment and files say. Raises `UsageError`."""
        found = load(self.path, flags=flags, environ=environ, env_file=env_file)
        folders = dict(found.folders)
        campaign = found.campaign
        if self._settings is not None:
            campaign = self._settings
            # What is asked of this sending wins over what stands in the campaign.
            names = [key.partition(".")[2] for key in flags if key.startswith("campaign.")]
            campaign = replace(campaign, **{name: getattr(found.campaign, name) for name in names})
            folders["campaign.template"] = folders["campaign.attachments"] = self._folder
        if self.rows is not None:
            campaign = replace(campaign, recipients="recipients")
        elif self._list is not None:
            campaign = replace(campaign, recipients=self._list)
            folders["campaign.recipients"] = self._folder
        return replace(found, campaign=campaign, folders=folders)

    @overload
    def send(self, *, wait: Literal[True] = True, **asked: Unpack[SendKeywords]) -> "Report": ...

    @overload
    def send(self, *, wait: Literal[False], **asked: Unpack[SendKeywords]) -> "Handle": ...

    def send(self, *, wait: bool = True, **asked: Unpack[SendKeywords]) -> "Report | Handle":
        """Accept the campaign once, work the queue or watch the workers, and return the report.

        Nobody is asked. With `wait=False` it returns when everything is stored, with a handle. The other keywords are
        those of `SendKeywords`, the flags of `mailer send`: `skip_bad`, `stream`, `limit`, `at` and so on.

        Raises:
            MailerError: nothing was accepted, unless it says otherwise.
        """
        from mailer.api.mailer import Mailer
        from mailer.api.portal import refuse_inside_a_loop

        refuse_inside_a_loop(
            "Campaign.send()", "async with AsyncMailer.from_env() as mailer: await mailer.send(campaign)"
        )
        mailer = Mailer.from_env(self.path)
        if not wait:
            return mailer.enqueue(self, **asked)
        with mailer:
            return mailer.send(self, **asked)


def _checked(given: Mapping[str, object], folder: Path) -> "CampaignSettings":
    """The keywords as settings. Raises `UsageError` E101 that names the keyword."""
    values = {f"campaign.{name}": value for name, value in given.items() if value is not None}
    origins = {key: f"Campaign({key.partition('.')[2]}=…)" for key in values}
    return merge([Layer(values=values, origins=origins, folder=folder, explicit=True)]).campaign


def _paths(attachments: Sequence[str | Path] | None) -> list[str] | None:
    """As the settings have them. Raises `UsageError` E101 for a single text, which is a sequence of characters."""
    if isinstance(attachments, str):
        where, hint = "Campaign(attachments=…)", f"attachments=[{attachments!r}]"
        raise UsageError("E101", f"attachments has to be a list, not {attachments!r}", where=where, hint=hint)
    return None if attachments is None else [str(path) for path in attachments]
