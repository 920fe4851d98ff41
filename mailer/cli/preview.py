"""`mailer preview`: one row of a campaign as a message, on a live page, on the terminal or in a file."""

import asyncio
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from mailer.cli.capture import until_stopped
from mailer.cli.preparing import prepare_campaign, read_campaign
from mailer.cli.preview_files import list_files, template_files
from mailer.cli.send_flags import SendFlags
from mailer.flow.preview import InvalidRowError, Previewed, Previewer
from mailer.reports.files import whole
from mailer.vocabulary.errors import SourceError, UsageError
from mailer.web.extra import web_extra
from mailer.web.opened import open_message, visible

if TYPE_CHECKING:
    from mailer.cli.invocation import Invocation
    from mailer.cli.opening import Setting


class _Campaign:
    """A campaign as its files are now."""

    def __init__(self, invocation: "Invocation", path: Path | None, flags: SendFlags) -> None:
        self._invocation = invocation
        self._path = path
        self._flags = flags
        self._setting = self._read()

    @property
    def name(self) -> str:
        """For headings."""
        campaign = self._setting.configuration.campaign
        return campaign.name or Path(campaign.template or "campaign").name

    def prepare(self) -> Previewer:
        """Read all files again. Raises `MailerError` E1xx to E3xx."""
        self._setting = self._read()
        return Previewer(prepare_campaign(self._setting, self._flags))

    def files(self) -> list[Path]:
        """What a change to makes other messages: the campaign file, the list, the template and what is attached."""
        configuration = self._setting.configuration
        campaign = configuration.campaign
        found = [configuration.path] if configuration.path is not None else []
        if campaign.recipients:
            found += list_files(campaign.recipients, configuration.folder_of("campaign.recipients"))
        base = configuration.folder_of("campaign.template")
        return [*found, *template_files(campaign, base, configuration.folder_of("campaign.attachments"))]

    def check_list(self) -> None:
        """Raises `UsageError` E101 for a list that cannot be read again when a file changes."""
        if self._setting.configuration.campaign.recipients == "-":
            raise UsageError(
                "E101",
                "the page reads the list again when a file changes, and standard input can be read only once",
                hint="mailer preview --print   shows one row; or save the list: --recipients people.csv",
            )

    def _read(self) -> "Setting":
        return read_campaign(self._invocation, self._path, self._flags)


async def preview_campaign(
    invocation: "Invocation",
    campaign: Path | None,
    flags: SendFlags = SendFlags(),  # noqa: B008 (frozen)
    *,
    row: int,
    opens: bool,
    prints: bool,
    eml: Path | None,
) -> int:
    """Show the message of a row. The page stays until Ctrl-C or SIGTERM; the terminal and the file need no page."""
    found = _Campaign(invocation, campaign, flags)
    if prints or eml is not None:
        _tell(invocation, _message(found.prepare(), row), prints=prints, eml=eml)
        return 0
    found.check_list()
    with web_extra("the page of `mailer preview`"):
        from mailer.web.preview import serving
    from mailer.web.proof import Proof

    proof = await asyncio.to_thread(Proof, found.prepare)
    async with serving(proof, found.files, name=found.name, row=row) as site:
        url = f"{site.url}/rows/{row}"
        if invocation.as_json:
            invocation.document(url=url)
        else:
            invocation.data(url)
        invocation.say("The page follows your changes. Nothing is sent. Ctrl-C ends it.")
        if opens and not await asyncio.to_thread(webbrowser.open, url):
            invocation.say("no browser could be opened: the address above is the page's")
        return await until_stopped()


def _message(previewer: Previewer, row: int) -> Previewed:
    try:
        return previewer.message(row)
    except InvalidRowError as error:
        raise SourceError(
            "E211",
            f"row {row} is left out as invalid: {error}",
            where=error.email or None,
            hint="mend the row, or look at another one: --row N",
        ) from error


def _tell(invocation: "Invocation", previewed: Previewed, *, prints: bool, eml: Path | None) -> None:
    if eml is not None:
        with whole(eml) as stream:
            stream.buffer.write(previewed.content)
    opened = open_message(previewed.content)
    if invocation.as_json:
        invocation.document(
            row=previewed.row,
            recipients=list(previewed.recipients),
            bytes=len(previewed.content),
            headers=opened.headers,
            text=opened.text,
            html=opened.html,
            eml=str(eml) if eml is not None else None,
        )
        return
    if prints:
        headers = "\n".join(f"{name}: {value}" for name, value in opened.headers)
        text = visible(opened.text) if opened.text is not None else "(no text part)"
        invocation.data(f"{headers}\n\n{text.rstrip()}")
    if eml is not None:
        invocation.say(f"{eml}: {len(previewed.content)} bytes, to {', '.join(previewed.recipients)}")
