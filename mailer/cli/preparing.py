"""From the settings of a command to a campaign that can be built, for `send`, `check` and `preview` alike."""

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mailer.backends.attachment_files import AttachmentFolder
from mailer.backends.sources.opening import open_source
from mailer.cli.opening import Setting, read_setting
from mailer.cli.send_flags import SendFlags, is_letter
from mailer.config.secrets import token_secret
from mailer.flow.preparation import Prepared, prepare
from mailer.worker.renderers import with_renderers

if TYPE_CHECKING:
    from mailer.cli.invocation import Invocation
    from mailer.interfaces.source import RecipientSource
    from mailer.vocabulary.route import Route


def read_campaign(invocation: "Invocation", campaign: Path | None, flags: SendFlags) -> Setting:
    """The configuration for a campaign: a TOML file, a folder with one, or a single-file template.

    Raises `UsageError` E101 to E117.
    """
    flags.check()
    return read_setting(invocation, None if is_letter(campaign) else campaign, flags.settings(campaign))


def prepare_campaign(setting: Setting, flags: SendFlags, route: "Route | None" = None) -> Prepared:
    """Load template and list as the settings and flags name them. Raises `MailerError` E1xx to E3xx."""
    configuration = setting.configuration

    def opener(spec: str, base: Path, needed: tuple[str, ...]) -> "RecipientSource":
        return open_source(
            spec,
            base=configuration.folder_of("campaign.recipients"),
            delimiter=flags.delimiter,
            format=flags.recipients_format,
            needed=needed,
        )

    prepared = prepare(
        configuration.campaign,
        configuration.smtp,
        configuration.delivery,
        base=_as_seen_from_here(configuration.folder_of("campaign.template")),
        attachments=configuration.folder_of("campaign.attachments"),
        open_source=opener,
        attach_below=partial(AttachmentFolder, max_size=configuration.delivery.max_message_size),
        ca_pem=route.ca_pem if route is not None else None,
        now_ms=int(time.time() * 1000),
        token_secret=token_secret(setting.environ),
        new=flags.new,
        append=flags.append,
        test_to=flags.test_to,
    )
    return with_renderers(prepared, flags.render_processes)


def _as_seen_from_here(folder: Path) -> Path:
    """The folder as a person in the current one would write it: places in templates are told with it."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder
