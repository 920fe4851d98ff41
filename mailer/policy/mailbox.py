"""Mailboxes: a display name and an address as From, To, Cc and Reply-To write them (RFC 5322 section 3.4)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mailer.policy.addressing import MAX_ADDRESS, MAX_NAME, Address, AddressError, parse_address
from mailer.policy.encoded_words import encode_words
from mailer.policy.header_values import FOLD, GOOD_LINE, UnsafeValueError, check_value, name_character

_ATOM = r"""[^\x00-\x20\x7f-\xa0"(),.:;<>@\[\\\]]+"""
# Local part as dot-atom or quoted string (section 3.4.1), also of RFC 6532's characters; the domain in A-labels.
_ADDRESS = re.compile(
    rf'(?:{_ATOM}(?:\.{_ATOM})*|"(?:[^"\\\x00-\x1f\x7f]|\\[ -~])*")@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?'
)
_LIST_LABEL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LIST_ID = re.compile(rf"{_LIST_LABEL}(?:\.{_LIST_LABEL})+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
# A name that is shown backwards lies about whom the mail is to.
_DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069]")
# Quoted text and what is in angle brackets may hold commas that separate nothing.
_LIST_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|<[^<>]*>|[^",<]+|[",<]')

MAX_MAILBOXES = 100
"""Mailboxes of a list: as many recipients as every server takes at once (RFC 5321 section 4.5.3.1.8)."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One of the mailboxes of a list: a display name, perhaps empty, and an address that mail can be sent to."""

    name: str
    address: Address


def parse_mailbox(mailbox: str, *, field: str = "To") -> tuple[str, str]:
    """Display name, perhaps empty, and address of exactly one `Name <a@b>`, `"Name" <a@b>` or `a@b`.

    The last `<` begins the address, whatever the name holds: in `{{ name }} <{{ email }}>` no name can add a second
    mailbox. Raises `UnsafeValueError`.
    """
    name, address = _split(mailbox, field)
    if address is None:
        name, address = "", name
    if len(address.encode()) > MAX_ADDRESS or _ADDRESS.fullmatch(address) is None:
        raise UnsafeValueError(
            field, "is not one address: write a@b.example or Name <a@b.example>, the domain in ASCII"
        )
    return name, address


def encode_mailbox(field: str, mailbox: str) -> bytes:
    """The header `field` with one mailbox, and its CRLF. Raises `UnsafeValueError`.

    An ASCII name becomes a quoted string, any other one encoded words. An address that is not ASCII stays UTF-8: it can
    be sent only with SMTPUTF8 (RFC 6532).
    """
    name, address = parse_mailbox(mailbox, field=field)
    return _encode(field, name, f"<{address}>") if name else f"{field}: {address}\r\n".encode()


def parse_mailboxes(text: str, *, field: str) -> tuple[Mailbox, ...]:
    """The mailboxes of a list, separated by commas: `Ann <a@b.example>, "Roe, Bob" <b@b.example>, c@b.example`.

    An empty text has none. Raises `UnsafeValueError` for an address that we do not send to, or more than
    `MAX_MAILBOXES`.
    """
    check_value(field, text, most=MAX_MAILBOXES * (2 * MAX_NAME + MAX_ADDRESS + 10))
    pieces = [piece for piece in _split_list(text) if piece]
    if len(pieces) > MAX_MAILBOXES:
        raise UnsafeValueError(field, f"has {len(pieces)} addresses, at most {MAX_MAILBOXES} are possible")
    return tuple(_parse_one(piece, field) for piece in pieces)


def encode_mailboxes(field: str, mailboxes: Sequence[Mailbox]) -> bytes:
    """The header `field` with all these mailboxes, one in a line, and its CRLF. Raises `UnsafeValueError`."""
    lines: list[str] = []
    for mailbox in mailboxes:
        # Every line but the first begins with one space; the comma that ends it finds room in front of the CRLF.
        indent = 1 if lines else len(field) + 2
        spec = mailbox.address.addr_spec
        lines.append(_phrase(indent, mailbox.name, f"<{spec}>") if mailbox.name else spec)
    return f"{field}: {f',{FOLD}'.join(lines)}\r\n".encode()


def _split_list(text: str) -> Iterator[str]:
    piece = ""
    for found in _LIST_PIECE.findall(text):
        if found == ",":
            yield piece.strip(" ")
            piece = ""
        else:
            piece += found
    yield piece.strip(" ")


def _parse_one(text: str, field: str) -> Mailbox:
    name, inner = _split(text, field)
    if inner is None:
        name, inner = "", name
    try:
        return Mailbox(name, parse_address(inner))
    except AddressError as error:
        reason = f"has {inner[:60]!r}, which is not an e-mail address: {error}"
        if not name and "@" not in inner:
            reason += ' (a name with a comma belongs in quotes: "Roe, Ann" <ann@b.example>)'
        raise UnsafeValueError(field, reason) from error


def encode_list_id(list_id: str) -> bytes:
    """The List-ID header of `news.acme.example` or `Acme News <news.acme.example>`, and its CRLF (RFC 2919).

    Raises `UnsafeValueError`.
    """
    name, identifier = _split(list_id, "List-ID")
    if identifier is None:
        name, identifier = "", name
    if len(identifier) > MAX_ADDRESS or _LIST_ID.fullmatch(identifier) is None:
        raise UnsafeValueError("List-ID", "must look like news.acme.example or Acme News <news.acme.example>")
    return _encode("List-ID", name, f"<{identifier}>") if name else f"List-ID: <{identifier}>\r\n".encode("ascii")


def _split(text: str, field: str) -> tuple[str, str | None]:
    """The name, and what stands in the angle brackets at the end; None where there are none."""
    # Room for every character of the name to be escaped, before any expression looks at it.
    check_value(field, text, most=2 * MAX_NAME + MAX_ADDRESS + 10)
    text = text.strip(" ")
    if not text.endswith(">") or "<" not in text:
        return text, None
    name, _, inner = text[:-1].rpartition("<")
    name = name.strip(" ")
    if (quoted := _QUOTED.fullmatch(name)) is not None:
        name = re.sub(r"\\(.)", r"\1", quoted[1])
    if len(name) > MAX_NAME:
        raise UnsafeValueError(field, f"has a name of {len(name)} characters, at most {MAX_NAME} are possible")
    if (direction := _DIRECTION.search(name)) is not None:
        raise UnsafeValueError(field, f"has a text direction override in its name: {name_character(direction[0])}")
    return name, inner


def _encode(field: str, name: str, bracketed: str) -> bytes:
    return f"{field}: {_phrase(len(field) + 2, name, bracketed)}\r\n".encode()


def _phrase(indent: int, name: str, bracketed: str) -> str:
    """A name and what is in brackets, from column `indent` on, folded between the two where one line is too short."""
    phrase = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    last = indent + len(phrase)
    # Readers collapse runs of spaces in a quoted string, and some decode what looks like an encoded word.
    if not name.isascii() or last > GOOD_LINE or "  " in name or "=?" in name:
        words = encode_words(name, first_room=GOOD_LINE - 2 - indent)
        phrase = FOLD.join(words)
        last = len(words[-1]) + (indent if len(words) == 1 else 1)
    gap = " " if last + 1 + len(bracketed.encode()) <= GOOD_LINE - 2 else FOLD
    return f"{phrase}{gap}{bracketed}"
