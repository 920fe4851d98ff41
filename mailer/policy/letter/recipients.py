"""Recipients of a letter: the mailboxes of To, Cc and Bcc, where a value of a row can never add one unasked."""

import re
from collections.abc import Iterator

from mailer.policy.header_values import UnsafeValueError
from mailer.policy.letter.header_section import Field
from mailer.policy.letter.values import NO_VALUE, VALUE, reveal
from mailer.policy.mailbox import Mailbox, parse_mailboxes

_BLANKS = " \t"
# Commas, quotes and angle brackets of the template separate something; in a value they are nothing but characters.
_QUOTED = rf'"(?:{VALUE}|\\.|(?![\"\\]){NO_VALUE})*"'
_PIECE = re.compile(rf"{_QUOTED}|<(?:{VALUE}|(?![<>]){NO_VALUE})*>|{VALUE}|.", re.DOTALL)
_BRACKETED = re.compile(rf"((?:{_QUOTED}|{VALUE}|(?![<\"]){NO_VALUE})*)<((?:{VALUE}|(?![<>]){NO_VALUE})*)>")
_NAME = re.compile(_QUOTED)
_NAME_PIECE = re.compile(rf"({VALUE})|\\(.)|({NO_VALUE})", re.DOTALL)
_WHOLLY_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


def read_mailboxes(field: Field) -> tuple[Mailbox, ...]:
    """The mailboxes of a header, separated by the commas of the template. Where a row leaves one empty, it is left out.

    A comma in a value belongs to the value: in `{{ name }} <{{ email }}>` the name may be `Roe, Ann`, and `{{ email }}`
    is one address. Only in Cc and Bcc may a value that stands alone be a list. Raises `UnsafeValueError`.
    """
    mailboxes: list[Mailbox] = []
    for item in _split(field.value):
        if (bracketed := _BRACKETED.fullmatch(item)) is not None:
            name, address = bracketed.groups()
            mailboxes += _read_one(_read_name(name), reveal(address).strip(_BLANKS), field.name)
        else:
            found = parse_mailboxes(reveal(item), field=field.name)
            if len(found) > 1 and field.key not in ("cc", "bcc"):
                raise UnsafeValueError(field.name, f"has {len(found)} addresses where one is expected")
            mailboxes += found
    return tuple(mailboxes)


def _split(text: str) -> Iterator[str]:
    """The items of a list, without those that are empty."""
    items = [""]
    for piece in _PIECE.findall(text):
        if piece == ",":
            items.append("")
        else:
            items[-1] += piece
    return (item.strip(_BLANKS) for item in items if reveal(item).strip(_BLANKS))


def _read_name(text: str) -> str:
    """A display name: where the template quotes it, its own backslashes escape, and those of values do not."""
    text = text.strip(_BLANKS)
    if _NAME.fullmatch(text) is not None:
        pieces = _NAME_PIECE.findall(text[1:-1])
        return "".join(reveal(value) if value else escaped or character for value, escaped, character in pieces)
    name = reveal(text).strip(_BLANKS)
    quoted = _WHOLLY_QUOTED.fullmatch(name)
    return name if quoted is None else re.sub(r"\\(.)", r"\1", quoted[1])


def _read_one(name: str, address: str, field: str) -> tuple[Mailbox, ...]:
    """One mailbox, written so that nothing in it can separate anything."""
    if "<" in address or ">" in address:
        raise UnsafeValueError(field, f"has {address[:60]!r}, which is not an e-mail address: an angle bracket")
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return parse_mailboxes(f'"{quoted}" <{address}>' if name else f"<{address}>", field=field)
