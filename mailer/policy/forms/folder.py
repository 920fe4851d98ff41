"""The folder form: a template folder and the campaign's settings, which make a message of each row."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath

from mailer.policy.body import Body
from mailer.policy.mailbox import Mailbox, parse_mailbox, parse_mailboxes
from mailer.policy.message import Skeleton
from mailer.policy.plain_text import TextDeriver, can_derive_text
from mailer.policy.rendering import RowRenderError, Template, load_template
from mailer.policy.rendering.images import link_images
from mailer.policy.styling import Styling
from mailer.vocabulary.chunk import Attached
from mailer.vocabulary.composed import Attach, Composed, Occasion
from mailer.vocabulary.errors import TemplateError
from mailer.vocabulary.settings import CampaignSettings

GIVEN = frozenset({"campaign", "row", "token", "unsubscribe_url"})
"""Variables a template has besides the columns of the row; `token` where the campaign has a secret for it."""
MAX_FILES = 100
"""Files that a message carries, images included."""


class FolderForm:
    """A composer of a template folder, made by `folder_form`. Threads may share it.

    `has_derived_text` says that the text part is made of the HTML part; `lacks_text` that there is none, since the
    folder has no text part and the library for it (the extra `text`) is not installed.
    """

    names_recipients = False

    def __init__(
        self,
        template: Template,
        skeleton: Skeleton,
        *,
        domain: str,
        sha256: str,
        styling: Styling | None,
        attach: Attach,
    ) -> None:
        self.sha256 = sha256
        self.variables = template.variables
        self.has_derived_text = template.derives_text
        self.lacks_text = "text" not in template.parts
        self._template = template
        self._skeleton = skeleton
        self._domain = domain
        self._styling = styling
        self._attach = attach

    def compose(self, columns: Mapping[str, object], address: tuple[str, str] | None, occasion: Occasion) -> Composed:
        """Make the message of one row for `address`, see `interfaces.composer`."""
        if address is None:
            raise ValueError("a template folder does not say whom a row goes to")
        context: dict[str, object] = {**columns, "campaign": occasion.campaign, "row": occasion.row}
        if occasion.token is not None:
            context["token"] = occasion.token(address[0])
        rendered = self._template.render(context, row=occasion.row, where=occasion.where)
        cc = parse_mailboxes(rendered.cc, field="Cc") if rendered.cc else ()
        bcc = parse_mailboxes(rendered.bcc, field="Bcc") if rendered.bcc else ()
        html, images = self._dress(rendered.html)
        files = [_find_file(path, self._template, self._attach) for path in rendered.attachments]
        if len(files) + len(images) > MAX_FILES:
            raise TemplateError("E309", f"{len(files) + len(images)} files are too many for a message: {MAX_FILES}")
        content = self._skeleton.build(
            to=_restate(rendered.to, address[0]) if rendered.to else address[0],
            subject=rendered.subject,
            text=rendered.text,
            html=html,
            message_id=occasion.message_id(address[0]),
            date=occasion.date,
            cc=cc,
            reply_to=rendered.reply_to,
            headers=rendered.headers,
            unsubscribe_url=rendered.unsubscribe_url,
            images=images,
            files=files,
        )
        return Composed(
            recipients=_envelope(address, (*cc, *bcc)) if cc or bcc else (address,),
            content=content,
            attached=_each_once([file for _, file in images], files) if images or files else (),
        )

    def first_lack(self, columns: Iterable[str], where: str) -> str | None:
        """Where in the template a row with only these columns fails first, file and line; None where it does not."""
        try:
            self._template.render(dict.fromkeys((*columns, *GIVEN), ""), row=None, where=where)
        except RowRenderError as error:
            return error.where if error.code == "E301" else None
        return None

    def _dress(self, html: str | None) -> tuple[str | None, tuple[tuple[str, Attached], ...]]:
        """The HTML part with its styles and images in their places, and the images."""
        if html is None:
            return None, ()
        if self._styling is not None:
            html = self._styling.apply(html)
        has_images = html.has("cid:") if isinstance(html, Body) else "cid:" in html
        return link_images(html, self._template.find_image, self._domain) if has_images else (html, ())


def folder_form(folder: Path, *, settings: CampaignSettings, sender: str, attach: Attach) -> FolderForm:
    """Load the template in `folder`, with what the campaign's settings put over it.

    Args:
        folder: The template folder, with subject, text part and HTML part.
        settings: Of the campaign. Paths in them are left to `attach`; errors call the folder as `template` does.
        sender: The From mailbox, `"Acme" <news@acme.example>`.
        attach: Finds a file by its rendered path.

    Raises:
        TemplateError: E3xx, the template cannot be used.
        UnsafeValueError: `sender` or `list_id` cannot go into its header.
    """
    deriver = TextDeriver() if can_derive_text() else None
    template = load_template(
        folder,
        subject=settings.subject,
        to=settings.to,
        cc=settings.cc,
        bcc=settings.bcc,
        reply_to=settings.reply_to,
        headers=settings.headers,
        unsubscribe_url=settings.unsubscribe_url,
        attachments=settings.attachments,
        shown=_show(folder, settings.template),
        derive_text=deriver.derive if deriver is not None else None,
    )
    skeleton = Skeleton(
        sender=sender,
        seed=f"{template.sha256} {sender}",
        has_text="text" in template.parts,
        has_html="html" in template.parts,
        list_id=settings.list_id,
    )
    return FolderForm(
        template,
        skeleton,
        sha256=_hash(template, settings, sender, attach),
        domain=parse_mailbox(sender, field="From")[1].rpartition("@")[2],
        styling=Styling() if settings.inline_css and "html" in template.parts else None,
        attach=attach,
    )


def _show(folder: Path, spec: str | None) -> PurePath | None:
    """The folder as the campaign's file calls it, with the `templates/` that may be left out there."""
    if not spec:
        return None
    below = PurePath("templates") / spec
    return below if folder.parts[-len(below.parts) :] == below.parts else PurePath(spec)


def _hash(template: Template, settings: CampaignSettings, sender: str, attach: Attach) -> str:
    """All that the messages are made of but the rows; files that every row has are looked for here already."""
    same = [path.strip() for path in settings.attachments if "{{" not in path and "{%" not in path]
    digests = [_find_file(path, template, attach).digest for path in same if path]
    made_of = (template.sha256, sender, settings.list_id, settings.inline_css, digests)
    return hashlib.sha256(repr(made_of).encode()).hexdigest()


def _find_file(path: str, template: Template, attach: Attach) -> Attached:
    try:
        return attach(path)
    except TemplateError as error:
        error.where = error.where or template.find_attachment(path)
        raise


def _restate(to: str, addr_spec: str) -> str:
    """The To mailbox with the address as it goes over the wire, where a row has it in other characters."""
    if to.isascii() or addr_spec in to:
        return to
    name, bracket, inner = to.rstrip(" ").removesuffix(">").rpartition("<")
    try:
        (mailbox,) = parse_mailboxes(inner, field="To")
    except ValueError:
        return to
    return f"{name}<{addr_spec}>" if bracket and mailbox.address.addr_spec == addr_spec else to


def _envelope(address: tuple[str, str], copies: Sequence[Mailbox]) -> tuple[tuple[str, str], ...]:
    """Whom the message goes to: the row's own address, then each copy's that is not there yet."""
    by_key = {address[1]: address[0]}
    for mailbox in copies:
        by_key.setdefault(mailbox.address.key, mailbox.address.addr_spec)
    return tuple((addr_spec, key) for key, addr_spec in by_key.items())


def _each_once(*files: Iterable[Attached]) -> tuple[Attached, ...]:
    """The files by their content, in their order."""
    return tuple({file.digest: file for some in files for file in some}.values())
