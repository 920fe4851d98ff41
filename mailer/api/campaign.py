"""A campaign as a script writes it: what is sent, from whom, to whom."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

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

    `recipients` is a CSV or JSON Lines file, or any iterable or async iterable of mappings. An iterable has no content
    that could be recognised, so only with a `key` is running twice the same as running once. Relative paths start at
    `folder` (default: the current one).

    The mail server, the queue and the delivery settings come from the environment and the configuration files, as for
    every command.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        template: str,
        sender: str,
        recipients: "str | Path | Rows",
        key: str | None = None,
        subject: str | None = None,
        to: str | None = None,
        reply_to: str | None = None,
        headers: Mapping[str, str] | None = None,
        envelope_sender: str | None = None,
        email_column: str | None = None,
        list_id: str | None = None,
        unsubscribe_url: str | None = None,
        duplicates: Literal["first"] | None = None,
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
            "headers": dict(headers) if headers is not None else None,
            "envelope_sender": envelope_sender,
            "email_column": email_column,
            "list_id": list_id,
            "unsubscribe_url": unsubscribe_url,
            "duplicates": duplicates,
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
            if flags.get("campaign.key") is not None:
                campaign = replace(campaign, key=str(flags["campaign.key"]))
            folders["campaign.template"] = self._folder
        if self.rows is not None:
            campaign = replace(campaign, recipients="recipients")
        elif self._list is not None:
            campaign = replace(campaign, recipients=self._list)
            folders["campaign.recipients"] = self._folder
        return replace(found, campaign=campaign, folders=folders)

    @overload
    def send(self, *, wait: Literal[True] = True, skip_bad: bool = False, key: str | None = None) -> "Report": ...

    @overload
    def send(self, *, wait: Literal[False], skip_bad: bool = False, key: str | None = None) -> "Handle": ...

    def send(self, *, wait: bool = True, skip_bad: bool = False, key: str | None = None) -> "Report | Handle":
        """Accept the campaign once, work the queue or watch the workers, and return the report.

        Nobody is asked. With `wait=False` it returns when everything is stored, with a handle. `skip_bad` makes rows
        that cannot be built `failed` instead of refusing all of them; `key` wins over the campaign's own.

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
            return mailer.enqueue(self, skip_bad=skip_bad, key=key)
        with mailer:
            return mailer.send(self, skip_bad=skip_bad, key=key)


def _checked(given: Mapping[str, object], folder: Path) -> "CampaignSettings":
    """The keywords as settings. Raises `UsageError` E101 that names the keyword."""
    values = {f"campaign.{name}": value for name, value in given.items() if value is not None}
    origins = {key: f"Campaign({key.partition('.')[2]}=…)" for key in values}
    return merge([Layer(values=values, origins=origins, folder=folder, explicit=True)]).campaign
