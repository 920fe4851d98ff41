"""Header values: what a row's text may hold to go into a header, and how long the lines get (RFC 5322)."""

import re

MAX_LINE = 998
"""Octets that no line exceeds, CRLF not counted (RFC 5322 section 2.1.1)."""
GOOD_LINE = 78
"""Octets that a line keeps to where it can be folded (RFC 5322 section 2.1.1)."""
FOLD = "\r\n "
"""A folded space (RFC 5322 section 2.2.3)."""
MAX_VALUE = 10_000
"""Characters of a value; what is longer is no subject but an accident or an attack."""

# C0, DEL, and whatever some program takes for a line end. A lone surrogate has no UTF-8.
_UNSAFE = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")
_NAMES = {
    "\0": "NUL",
    "\t": "a tab",
    "\n": "a line feed",
    "\r": "a carriage return",
    "\x85": "a next-line control",
    "\u2028": "a line separator",
    "\u2029": "a paragraph separator",
}


class UnsafeValueError(ValueError):
    """A value must not go into a message: the text says which field it is, and which character is the trouble."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"the {field} {reason}")
        self.field = field
        self.reason = reason


def check_value(field: str, value: str, *, most: int = MAX_VALUE) -> None:
    """Raise `UnsafeValueError` for control characters, line ends, lone surrogates, encoded words and overlong values.

    An encoded word in a row would carry a line end past every check of ours and be turned into a header by the next
    program: `=?utf-8?q?x=0D=0ABcc=3A...?=` (CVE-2024-6923).
    """
    if len(value) > most:
        raise UnsafeValueError(field, f"is {len(value)} characters long, at most {most} are possible")
    if (unsafe := _UNSAFE.search(value)) is not None:
        raise UnsafeValueError(field, f"has {name_character(unsafe[0])} at character {unsafe.start() + 1}")
    start = value.find("=?")
    if start >= 0 and value.find("?=", start + 2) >= 0:
        raise UnsafeValueError(field, f"has an encoded word (=?...?=) at character {start + 1}")


def name_character(character: str) -> str:
    """What a person calls a character that cannot be shown: `a line feed (U+000A)`."""
    if "\ud800" <= character <= "\udfff":
        name = "a lone surrogate"
    else:
        name = _NAMES.get(character, "a control character" if ord(character) < 0xA0 else "the character")
    return f"{name} (U+{ord(character):04X})"
