"""The single-file form: header lines, a blank line and the body, all of it Jinja2; mailmerge's format."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from posixpath import normpath

from mailer.policy.forms.folder import GIVEN, MAX_FILES
from mailer.policy.header_values import UnsafeValueError
from mailer.policy.headers import encode_verbatim
from mailer.policy.letter.encoding import content_id, encode_entity
from mailer.policy.letter.entity import File, read_entity, with_files, with_html
from mailer.policy.letter.header_section import (
    Field,
    HeaderLineError,
    find_line,
    split_letter,
    written_header,
    written_values,
)
from mailer.policy.letter.heading import FieldError, Heading, read_heading
from mailer.policy.letter.images import path_key, refer_to_attached
from mailer.policy.letter.loading import load_letter
from mailer.policy.message import encode_unsubscribe, format_date
from mailer.policy.rendering import Rendered, RowRenderError, Template
from mailer.policy.rendering.sources import Sources
from mailer.policy.styling import Styling
from mailer.vocabulary.chunk import Attached
from mailer.vocabulary.composed import Attach, Composed, Occasion
from mailer.vocabulary.errors import TemplateError
from mailer.vocabulary.settings import CampaignSettings

_JINJA = re.compile(r"\{[{%#]")
_COMPOSED_ELSEWHERE = re.compile(r"\{%[-+]?\s*(?:extends|include)\b")


class LetterForm:
    """A composer of a letter, made by `letter_form`. Threads may share it.

    `sender` is what From says, where it says the same in every row; else `has_varying_sender` is true, From is rendered
    with each row, and the campaign's `sender` is only the reverse-path. `lacks_text` says that it is HTML alone.
    """

    def __init__(
        self,
        path: Path,
        template: Template,
        sources: Sources,
        *,
        settings: CampaignSettings,
        attach: Attach,
    ) -> None:
        self._source = (sources.text(path.name) or "").replace("\r\n", "\n")
        if not self._source.strip():
            hint = "To: {{ email }}, From:, Subject:, a blank line, and the body"
            raise TemplateError("E311", "the file is empty", where=sources.spot(path.name, 0).show(), hint=hint)
        header = written_header(self._source)
        above = self._source[: self._source.index(header)]
        is_composed = _COMPOSED_ELSEWHERE.search(above + header) is not None
        senders = written_values(header, "from")
        is_fixed = len(senders) == 1 and _JINJA.search(senders[0]) is None
        self.sender = senders[0] if is_fixed else None
        self.has_varying_sender = not is_fixed and (bool(senders) or is_composed)
        self.names_recipients = settings.to is None and (bool(written_values(header, "to")) or is_composed)
        self.lacks_text = any("text/html" in kind.lower() for kind in written_values(header, "content-type"))
        self.variables = template.variables
        self._folder = path.parent
        self._template = template
        self._sources = sources
        self._settings = settings
        self._name = path.name
        self._attach = attach
        self._styling = Styling() if settings.inline_css else None
        self._written_files = len(written_values(header, "attachment"))
        digests = [
            self._find_file(file, at).digest
            for at, file in enumerate((*written_values(header, "attachment"), *settings.attachments))
            if file.strip() and _JINJA.search(file) is None
        ]
        made_of = (template.sha256, settings.sender, settings.list_id, settings.inline_css, digests)
        self.sha256 = hashlib.sha256(repr(made_of).encode()).hexdigest()

    def compose(self, columns: Mapping[str, object], address: tuple[str, str] | None, occasion: Occasion) -> Composed:
        """Make the message of one row, see `interfaces.composer`.

        An address that is given although the letter names its recipients is a tester's: the message goes to it alone.
        """
        if address is None and not self.names_recipients:
            raise ValueError("the letter does not say whom a row goes to")
        context: dict[str, object] = {"campaign": occasion.campaign, "row": occasion.row, **columns}
        if occasion.token is not None and "token" in self.variables:
            first = address[0] if address is not None else self._first_recipient(context, occasion)
            context.setdefault("token", occasion.token(first))
        rendered = self._template.render(context, row=occasion.row, where=occasion.where)
        heading, body = self._read(rendered, address)
        recipients = _envelope(address, heading)
        files = self._find_files((*heading.attachments, *(Field("Attachment", path) for path in rendered.attachments)))
        try:
            entity, unescaped = read_entity(heading.content_type, heading.transfer_encoding, body)
        except TemplateError as error:
            error.where = error.where or self._place("content-type")
            raise
        shown = {key: file.content_id for key, file in files}
        if self._styling is not None:
            entity = with_html(entity, self._styling.apply)
        entity = with_html(entity, lambda html: refer_to_attached(html, shown))
        entity = with_files(entity, tuple(file for _, file in files))
        content = [
            b"Date: %b\r\n" % format_date(occasion.date),
            heading.encoded,
            encode_verbatim("Message-ID", occasion.message_id(recipients[0][0])),
            encode_unsubscribe(rendered.unsubscribe_url) if rendered.unsubscribe_url else b"",
            b"MIME-Version: 1.0\r\n",
            encode_entity(entity, self._template.sha256),
        ]
        attached = {file.attached.digest: file.attached for _, file in files}
        return Composed(
            recipients=recipients, content=b"".join(content), attached=tuple(attached.values()), unescaped=unescaped
        )

    def first_lack(self, columns: Iterable[str], where: str) -> str | None:
        """Where in the template a row with only these columns fails first, file and line; None where it does not."""
        try:
            self._template.render(dict.fromkeys((*columns, *GIVEN), ""), row=None, where=where)
        except RowRenderError as error:
            return error.where if error.code == "E301" else None
        return None

    def _first_recipient(self, context: Mapping[str, object], occasion: Occasion) -> str:
        """Whom a row goes to, where its token must be known before the letter can be rendered."""
        rendered = self._template.render({"token": "", **context}, row=occasion.row, where=occasion.where)
        heading, _ = self._read(rendered, None)
        return _envelope(None, heading)[0][0]

    def _read(self, rendered: Rendered, address: tuple[str, str] | None) -> tuple[Heading, str]:
        try:
            fields, body = split_letter(rendered.text or "")
            further = () if rendered.unsubscribe_url is None else ("List-Unsubscribe",)
            return read_heading(self._overlaid(fields, rendered, address), further=further), body
        except HeaderLineError as error:
            line = error.line
            error.where = self._find(lambda source: source.split("\n").index(line) + 1)
            raise
        except FieldError as error:
            error.where = self._place(error.field)
            raise
        except TemplateError as error:
            error.where = self._place(error.where) if error.where is not None else None
            raise

    def _overlaid(
        self, fields: Sequence[Field], rendered: Rendered, address: tuple[str, str] | None
    ) -> tuple[Field, ...]:
        """The fields of the letter, with those that the settings of the campaign put in their places."""
        settings = self._settings
        over = [Field("Subject", rendered.subject)] if settings.subject is not None else []
        given = {"To": rendered.to, "Cc": rendered.cc, "Bcc": rendered.bcc, "Reply-To": rendered.reply_to}
        over += (Field(name, value) for name, value in given.items() if value is not None)
        over += (Field(name, value) for name, value in rendered.headers)
        if settings.list_id is not None:
            over.append(Field("List-ID", settings.list_id))
        if settings.sender is not None and not self.has_varying_sender:
            over.append(Field("From", settings.sender))
        if address is not None and rendered.to is None:
            over.append(Field("To", address[0]))
        names = {field.key for field in over}
        found = (*(field for field in fields if field.key not in names), *over)
        if address is None or not self.names_recipients:
            return found
        # Neither the message nor an answer to all may reach anybody but the tester.
        return tuple(field for field in found if field.key not in ("cc", "bcc"))

    def _find_files(self, fields: Sequence[Field]) -> list[tuple[str, File]]:
        """The attached files, each with the path by which an image may show it."""
        files: list[tuple[str, File]] = []
        for at, field in enumerate(fields):
            if not field.text and field.is_fixed:
                message, hint = "the header Attachment names no file", "write its path, or take the line out"
                raise TemplateError("E311", message, where=self._place("attachment", at), hint=hint)
            if field.text:
                attached = self._find_file(field.text, at)
                files.append((path_key(field.text), File(attached=attached, content_id=content_id(attached, at))))
        if len(files) > MAX_FILES:
            raise TemplateError("E309", f"{len(files)} files are too many for a message: {MAX_FILES}")
        return files

    def _find_file(self, path: str, at: int) -> Attached:
        """The attached file number `at` of a row, those of the settings after those of the letter."""
        try:
            return self._attach(self._shorten(path.strip()))
        except TemplateError as error:
            place = self._place("attachment", at) if at < self._written_files else "[campaign] attachments"
            error.where = error.where or place
            raise

    def _shorten(self, path: str) -> str:
        """The path relative to the folder, as `attach` wants it, if the file lies below it."""
        if path.startswith("~"):
            why, hint = "~ is not followed.", f"put a copy into {self._folder.absolute()}, and give its path from there"
            raise TemplateError("E309", f"{path} is outside of the template's folder", why=why, hint=hint)
        if path.startswith("/"):
            # mailmerge takes the whole path of a file; below the folder it is as good as the short one.
            whole, folder = Path(normpath(path)), self._folder.absolute()
            path = whole.relative_to(folder).as_posix() if whole.is_relative_to(folder) else path
        return normpath(path)

    def _place(self, field: str, at: int = 0) -> str:
        return self._find(lambda source: find_line(source, field, at))

    def _find(self, line: Callable[[str], int]) -> str:
        """The line of the letter's file that `line` finds in it, as an error shows it, else the file."""
        try:
            return self._sources.spot(self._name, line(self._source)).show()
        except ValueError:
            return self._sources.spot(self._name, 0).show()


def letter_form(path: Path, *, settings: CampaignSettings, attach: Attach) -> LetterForm:
    """Load the letter in the file `path`, with what the campaign's settings put over it.

    The whole file is one template. Each value of a row stays what it is: it begins no header line, no part and no
    second address, whatever it holds. Nothing is escaped by itself.

    Args:
        path: The file; includes and attachments lie below its folder.
        settings: Of the campaign. `sender`, `to`, `subject`, `cc`, `bcc`, `reply_to`, `list_id` and `headers` take the
            place of the letter's own; `attachments` come after them. With `to` the rows go to the email column.
        attach: Finds a file by its rendered path.

    Raises:
        TemplateError: E302, E303, E306 the template cannot be used; E309 a file that every row has cannot be attached;
            E311 the file is empty.
    """
    template, sources = load_letter(path, settings)
    return LetterForm(path, template, sources, settings=settings, attach=attach)


def _envelope(address: tuple[str, str] | None, heading: Heading) -> tuple[tuple[str, str], ...]:
    """Whom the message goes to: To first, then Cc and Bcc, none twice."""
    first = [] if address is None else [address]
    named = (*heading.to, *heading.cc, *heading.bcc) if address is None else (*heading.cc, *heading.bcc)
    found = (*first, *((mailbox.address.addr_spec, mailbox.address.key) for mailbox in named))
    if address is None and not heading.to:
        raise UnsafeValueError("To", "has no address")
    by_key = {key: addr_spec for addr_spec, key in reversed(found)}
    return tuple((by_key[key], key) for key in dict.fromkeys(key for _, key in found))
