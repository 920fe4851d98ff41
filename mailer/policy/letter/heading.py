"""The heading: the header fields of one letter, checked, sorted by their meaning, and encoded (RFC 5322)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mailer.policy.header_values import UnsafeValueError, check_value
from mailer.policy.headers import check_header_names, encode_header, encode_text, encode_verbatim
from mailer.policy.letter.header_section import Field, named
from mailer.policy.letter.recipients import read_mailboxes
from mailer.policy.mailbox import Mailbox, encode_list_id, encode_mailboxes
from mailer.vocabulary.errors import TemplateError

_ONCE = ("from", "subject", "reply-to", "list-id", "content-type", "content-transfer-encoding", "mime-version")
_UNDERSTOOD = frozenset({*_ONCE, "to", "cc", "bcc", "attachment", "list-unsubscribe-post"})

Result = TypeVar("Result")


class FieldError(TemplateError):
    """A header of a letter cannot be used; `field` is its name."""

    def __init__(self, field: str, message: str, *, why: str | None = None, hint: str | None = None) -> None:
        super().__init__("E311", message, why=why, hint=hint)
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """What the fields of a letter say: `encoded` are those that go out as they are, each with its CRLF."""

    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...]
    bcc: tuple[Mailbox, ...]
    attachments: tuple[Field, ...]
    content_type: str
    transfer_encoding: str
    encoded: bytes


def read_heading(fields: Sequence[Field], *, further: Sequence[str] = ()) -> Heading:
    """Sort and encode the fields; `further` names headers that will be added to them. Bcc never goes out.

    Raises:
        UnsafeValueError: a value of the row cannot go into its header.
        TemplateError: E306 a header that a campaign may not add; E311 what the template itself has cannot go out.
    """
    for name in _ONCE:
        if len(several := named(fields, name)) > 1:
            raise FieldError(name, f"the header {several[1].name} is there twice", hint="keep one of the two")
    others = [field for field in fields if field.key not in _UNDERSTOOD]
    try:
        check_header_names((*(field.name for field in others), *further))
    except TemplateError as error:
        error.where = next((field.name for field in others if field.name in error.message), None)
        raise
    sender, subject = _the_one(fields, "from"), _the_one(fields, "subject")
    to, cc, bcc = (_mailboxes(fields, name) for name in ("to", "cc", "bcc"))
    encoded = [_checked(sender, _encode_sender)]
    encoded += (encode_mailboxes(name, mailboxes) for name, mailboxes in (("To", to), ("Cc", cc)) if mailboxes)
    encoded.append(_checked(subject, lambda field: encode_text("Subject", field.text)))
    for field in named(fields, "reply-to"):
        if mailboxes := _checked(field, read_mailboxes):
            encoded.append(encode_mailboxes("Reply-To", mailboxes))
    encoded += (_checked(field, lambda field: encode_list_id(field.text)) for field in named(fields, "list-id"))
    encoded += (_checked(field, lambda field: encode_header(field.name, field.text)) for field in others)
    if "list-unsubscribe" not in (name.lower() for name in further):
        posts = named(fields, "list-unsubscribe-post")
        encoded += (_checked(field, lambda field: encode_verbatim(field.name, field.text)) for field in posts)
    return Heading(
        to=to,
        cc=cc,
        bcc=bcc,
        attachments=tuple(named(fields, "attachment")),
        content_type=_plain(fields, "content-type", "text/plain"),
        transfer_encoding=_plain(fields, "content-transfer-encoding", "7bit"),
        encoded=b"".join(encoded),
    )


def _the_one(fields: Sequence[Field], name: str) -> Field:
    found = named(fields, name)
    if not found:
        raise FieldError(
            name,
            f"the letter has no {name.capitalize()}",
            why="What comes after the first blank line is the body.",
            hint=f"begin a line with {name.capitalize()}:   ({{%- if … %}} and {{%- endif %}} leave no blank line)",
        )
    return found[0]


def _mailboxes(fields: Sequence[Field], name: str) -> tuple[Mailbox, ...]:
    return tuple(mailbox for field in named(fields, name) for mailbox in _checked(field, read_mailboxes))


def _plain(fields: Sequence[Field], name: str, default: str) -> str:
    for field in named(fields, name):
        _checked(field, lambda field: check_value(field.name, field.text))
        return field.text or default
    return default


def _encode_sender(field: Field) -> bytes:
    mailboxes = read_mailboxes(field)
    if len(mailboxes) != 1:
        raise UnsafeValueError("From", "is not one address: write a@b.example or Name <a@b.example>")
    return encode_mailboxes("From", mailboxes)


def _checked(field: Field, read: Callable[[Field], Result]) -> Result:
    """What `read` makes of a field. Where no row has a share in the field, what is wrong with it is the template's."""
    try:
        return read(field)
    except UnsafeValueError as error:
        if not field.is_fixed:
            raise
        raise FieldError(field.key, f"{error}", hint="mend this line of the template") from error
