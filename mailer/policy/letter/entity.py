"""Entities: the body of a letter as a tree of MIME parts, by its Content-Type (RFC 2045, RFC 2046)."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from email import message_from_string
from email.message import Message
from email.utils import collapse_rfc2231_value

from mailer.policy.header_values import UnsafeValueError, name_character
from mailer.policy.letter.values import find_unescaped, reveal
from mailer.policy.markdown import to_html
from mailer.vocabulary.chunk import Attached
from mailer.vocabulary.errors import TemplateError

_KEPT = ("content-description", "content-disposition", "content-id", "content-language", "content-location")
_OPEN = frozenset({"7bit", "8bit", "binary"})
_MAX_DEPTH = 10
_WORD = r"[a-z0-9!#$%&'*+.^_`{|}~-]{1,60}"
_KIND = re.compile(f"{_WORD}/{_WORD}")
_PARAMETER = re.compile(_WORD)
_SURROGATE = re.compile("[\ud800-\udfff]")
_FOLDED = re.compile(r"\r?\n[ \t]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A part with text, or with bytes where it was written out in base64; `headers` are those besides its type."""

    kind: str
    content: str | bytes
    parameters: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A part with an attached file, which an image may show by its Content-ID."""

    attached: Attached
    content_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Multipart:
    """A part with parts: `multipart/{subtype}`."""

    subtype: str
    parts: "tuple[Entity, ...]"


Entity = Body | File | Multipart


def read_entity(content_type: str, transfer_encoding: str, body: str) -> tuple[Entity, str | None]:
    """The tree of a rendered body, and a column whose value went unescaped into an HTML part.

    `text/markdown` becomes its source as plain text, and the HTML made of it. Values are enclosed in `body` as `values`
    has it: none of them ends a part or begins one.

    Raises:
        TemplateError: E312, this cannot be built.
        UnsafeValueError: the body has a character that no message can.
    """
    if (surrogate := _SURROGATE.search(body)) is not None:
        raise UnsafeValueError("body", f"has {name_character(surrogate[0])}")
    message = message_from_string(
        f"Content-Type: {content_type}\nContent-Transfer-Encoding: {transfer_encoding}\n\n{body}"
    )
    kind = message.get_content_type()
    if kind == "text/markdown":
        text = _text(message)
        html = f"<html><body>{to_html(reveal(text))}</body></html>"
        parts = Body(kind="text/plain", content=reveal(text)), Body(kind="text/html", content=html)
        # An ampersand in Markdown is written as HTML needs it.
        unescaped = find_unescaped(text, "<")
        return Multipart(subtype="related", parts=(Multipart(subtype="alternative", parts=parts),)), unescaped
    if message.get_content_maintype() not in ("text", "multipart"):
        hint = "text/plain, text/html, text/markdown, or multipart/alternative with its parts; a file is an Attachment"
        raise TemplateError("E312", f"a letter cannot be {kind}", hint=hint)
    return _read(message, 0), _unescaped(message)


def with_files(entity: Entity, files: tuple[File, ...]) -> Entity:
    """The tree with these files in a `multipart/related` around it, or at the end of the one it is.

    An alternative that was written out stays one: a file in it would be taken for another form of the text (RFC 2046
    section 5.1.4).
    """
    if not files:
        return entity
    if isinstance(entity, Multipart) and entity.subtype != "alternative":
        return replace(entity, parts=(*entity.parts, *files))
    return Multipart(subtype="related", parts=(entity, *files))


def with_html(entity: Entity, rewrite: Callable[[str], str]) -> Entity:
    """The tree with each of its HTML parts rewritten."""
    match entity:
        case Multipart():
            return replace(entity, parts=tuple(with_html(part, rewrite) for part in entity.parts))
        case Body(kind="text/html", content=str(html)):
            return replace(entity, content=rewrite(html))
    return entity


def _read(message: Message, depth: int) -> Entity:
    kind = message.get_content_type()
    if _KIND.fullmatch(kind) is None:
        raise TemplateError("E312", f"a part cannot be {reveal(kind)[:80]!r}", hint="write its Content-Type out")
    if message.get_content_maintype() == "multipart":
        parts = message.get_payload()
        if not isinstance(parts, list) or message.get_boundary() is None:
            raise TemplateError(
                "E312",
                f"{kind} has no parts",
                hint='Content-Type: multipart/alternative; boundary="boundary", and --boundary before each part',
            )
        if depth == _MAX_DEPTH:
            raise TemplateError("E312", f"the parts are nested more than {_MAX_DEPTH} deep")
        read = (_read(part, depth + 1) for part in parts if isinstance(part, Message))
        return Multipart(subtype=message.get_content_subtype(), parts=tuple(read))
    if message.is_multipart():
        raise TemplateError("E312", f"a part cannot be {kind}", hint="attach the message as a file")
    headers = tuple((name, reveal(_FOLDED.sub(" ", value))) for name, value in message.items() if name.lower() in _KEPT)
    parameters = tuple(_parameters(message))
    if message.get_content_maintype() == "text":
        return Body(kind=kind, content=reveal(_text(message)), parameters=parameters, headers=headers)
    content = message.get_payload(decode=True)
    if not isinstance(content, bytes):
        raise TemplateError("E312", f"a part cannot be {kind}")
    return Body(kind=kind, content=content, parameters=parameters, headers=headers)


def _parameters(message: Message) -> Iterator[tuple[str, str]]:
    """Those of the Content-Type that belong to the part, whatever it is encoded in."""
    for name, value in (message.get_params() or [])[1:]:
        if _PARAMETER.fullmatch(name.lower()) is not None and name.lower() not in ("boundary", "charset"):
            yield name.lower(), reveal(collapse_rfc2231_value(value))


def _text(message: Message) -> str:
    """The text of a part, values still enclosed unless the part is encoded."""
    encoding = str(message.get("Content-Transfer-Encoding") or "7bit").strip().lower()
    text = str(message.get_payload())
    if encoding in _OPEN:
        return text
    if encoding not in ("quoted-printable", "base64"):
        raise TemplateError("E312", f"a part cannot be encoded as {encoding[:40]!r}", hint="leave the line out")
    message.set_payload(reveal(text))
    content = message.get_payload(decode=True)
    charset = message.get_content_charset("utf-8")
    try:
        return content.decode(charset) if isinstance(content, bytes) else str(content)
    except (LookupError, UnicodeDecodeError) as error:
        raise TemplateError("E312", f"a part is not {charset}", cause=str(error)) from error


def _unescaped(message: Message) -> str | None:
    for part in message.walk():
        if part.get_content_type() == "text/html" and not part.is_multipart():
            column = find_unescaped(str(part.get_payload()), "<&")
            if column is not None:
                return column
    return None
