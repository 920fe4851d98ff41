"""A message taken apart to be looked at: its headers, its text and HTML, and the parts it is made of."""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from typing import cast

from mailer.policy.decoded_words import decode_words
from mailer.vocabulary.reply import sanitise

MOST_HEADERS = 200
MOST_PARTS = 200
LONGEST_NAME = 150
"""Characters of a file name."""

_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp", "image/svg+xml"})
"""What a browser draws in `<img>`; scripts in an SVG do not run there."""
_NO_TEXT = frozenset({"idna", "punycode", "undefined"})
"""Codecs that no mail is written in; the first takes time without end."""
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_IN_A_NAME = re.compile(r'[/\\:*?"<>|;]+')


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part that has no parts itself, decoded. `name` is safe as a file name."""

    number: int
    content_type: str
    name: str | None
    content_id: str | None
    is_attachment: bool
    content: bytes = field(repr=False)

    @property
    def is_image(self) -> bool:
        """True where a browser can draw it."""
        return self.content_type in _IMAGES

    @property
    def file_name(self) -> str:
        """A name to save it under."""
        kind = self.content_type.partition("/")[2].replace("plain", "txt").replace("rfc822", "eml")
        return self.name or f"part-{self.number}.{kind if re.fullmatch('[a-z0-9]{1,8}', kind) else 'bin'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A message as a person looks at it: headers decoded and safe to show, text and HTML as characters.

    `text` and `html` are the first parts of their kind that are not attachments; None without one. They may hold any
    character; `visible` makes them safe to show as text.
    """

    headers: tuple[tuple[str, str], ...]
    text: str | None
    html: str | None
    parts: tuple[Part, ...]

    @property
    def subject(self) -> str:
        """The decoded Subject; empty without one."""
        return self.header("subject")

    def header(self, name: str) -> str:
        """The first header of this name (lower case); empty without one."""
        return next((value for key, value in self.headers if key.lower() == name), "")


def open_message(content: bytes) -> Opened:
    """Take a message apart. Never raises: what cannot be read as MIME is shown as text."""
    try:
        message = message_from_bytes(content)
        leaves = list(_leaves(message))
    except RecursionError:
        # A nesting of parts that nobody means.
        return Opened(headers=(), text=content.decode("utf-8", "backslashreplace"), html=None, parts=())
    parts = tuple(_part(number, leaf) for number, leaf in enumerate(leaves, 1))
    return Opened(
        headers=tuple((sanitise(name), _decoded(value)) for name, value in message.items()[:MOST_HEADERS]),
        text=_body(leaves, parts, "text/plain"),
        html=_body(leaves, parts, "text/html"),
        parts=parts,
    )


def visible(text: str) -> str:
    """Text with every control and bidirectional mark as something to be seen; line ends and tabs stay."""
    return _CONTROLS.sub(lambda found: _picture(found[0]), text.replace("\r\n", "\n"))


def _picture(character: str) -> str:
    code = ord(character)
    return chr(0x2400 + code) if code < 0x20 else f"‹U+{code:04X}›"


def _leaves(message: "Message[str, str]") -> Iterator["Message[str, str]"]:
    """The parts without parts, in their order; a forwarded message is one."""
    waiting, found = [message], 0
    while waiting and found < MOST_PARTS:
        part = waiting.pop()
        if part.is_multipart() and part.get_content_maintype() == "multipart":
            waiting += reversed(_inner(part))
        else:
            found += 1
            yield part


def _part(number: int, leaf: "Message[str, str]") -> Part:
    content_id = leaf.get("Content-ID")
    name = _name(leaf)
    return Part(
        number=number,
        content_type=sanitise(leaf.get_content_type()),
        name=name,
        content_id=None if content_id is None else sanitise(str(content_id)).strip("<>") or None,
        is_attachment=leaf.get_content_disposition() == "attachment",
        content=_content(leaf),
    )


def _inner(part: "Message[str, str]") -> list["Message[str, str]"]:
    return [one for one in cast("list[object]", part.get_payload()) if isinstance(one, Message)]


def _content(leaf: "Message[str, str]") -> bytes:
    if leaf.is_multipart():
        try:
            return b"".join(bytes(one) for one in _inner(leaf))
        except (ValueError, LookupError, TypeError, AttributeError):
            # The standard library cannot write again everything that it reads.
            return b""
    try:
        content = leaf.get_payload(decode=True)
    except (ValueError, LookupError, TypeError):
        # It stumbles over a charset in a form that it does not expect there.
        del leaf["Content-Type"]
        content = leaf.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _name(leaf: "Message[str, str]") -> str | None:
    try:
        name = leaf.get_filename()
    except (ValueError, LookupError, TypeError):
        return None
    return None if name is None else safe_name(_decoded(name))


def safe_name(name: str) -> str | None:
    """A file name without path, control or direction mark, at most `LONGEST_NAME` characters; None without a rest."""
    last = re.split(r"[/\\]", sanitise(name))[-1]
    return _IN_A_NAME.sub("_", last).strip(". ")[:LONGEST_NAME] or None


def _decoded(value: object) -> str:
    text = str(value).replace("\r", "").replace("\n", "")
    return sanitise(decode_words(text))


def _body(leaves: list["Message[str, str]"], parts: tuple[Part, ...], content_type: str) -> str | None:
    for leaf, part in zip(leaves, parts, strict=True):
        if part.content_type == content_type and not part.is_attachment:
            return _characters(part.content, leaf)
    return None


def _characters(content: bytes, leaf: "Message[str, str]") -> str:
    try:
        charset = codecs.lookup(leaf.get_content_charset("utf-8")).name
        if charset not in _NO_TEXT:
            text = content.decode("utf-8" if charset == "ascii" else charset, "replace")
            # A few encodings can spell half of a surrogate pair, which no page and no document can hold.
            return text.encode("utf-8", "replace").decode("utf-8")
    except (LookupError, ValueError, TypeError):
        pass  # an encoding nobody knows: as good as none named
    return content.decode("utf-8", "replace")
