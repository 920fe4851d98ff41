"""Headers: which ones a campaign may add, and how each kind is encoded and folded (RFC 5322, RFC 2231)."""

import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import quote

from mailer.policy.encoded_words import encode_words
from mailer.policy.header_values import FOLD, GOOD_LINE, MAX_LINE, UnsafeValueError, check_value, name_character
from mailer.policy.mailbox import encode_mailbox
from mailer.vocabulary.errors import TemplateError

_NAME = re.compile("[!-9;-~]{1,60}")
_SETTINGS = {
    "from": "sender",
    "to": "to",
    "subject": "subject",
    "reply-to": "reply_to",
    "list-id": "list_id",
    "list-unsubscribe-post": "unsubscribe_url",
}
_NOT_YOURS = frozenset(
    {"bcc", "cc", "date", "delivered-to", "dkim-signature", "message-id", "mime-version", "received", "return-path"}
)
_NOT_YOURS_EITHER = ("arc-", "content-", "resent-")
_WORD = re.compile(" *[^ ]+")


@lru_cache(maxsize=64)
def check_header_names(names: tuple[str, ...]) -> None:
    """Raise `TemplateError` E306 for a header that a campaign may not add: malformed, ours, the relay's, or twice."""
    seen: set[str] = set()
    for name in names:
        key = name.lower()
        if _NAME.fullmatch(name) is None:
            message, why = f"{name[:60]!r} is not a header name", "It has 1 to 60 ASCII characters, no space, no colon."
            raise TemplateError("E306", message, why=why)
        if key in _SETTINGS:
            message, hint = f"the header {name} has a setting of its own", f"use {_SETTINGS[key]} instead"
            raise TemplateError("E306", message, hint=hint)
        if key in _NOT_YOURS or key.startswith(_NOT_YOURS_EITHER):
            message, why = f"the header {name} cannot be set", "It is written by mailer or by the relay."
            raise TemplateError("E306", message, why=why)
        if key in seen:
            raise TemplateError("E306", f"the header {name} is set twice", hint="keep one of the two")
        seen.add(key)


def encode_header(name: str, value: str) -> bytes:
    """A header that a campaign adds, and its CRLF: `List-*` verbatim, `Sender` as a mailbox, any other as text.

    Raises `UnsafeValueError`. The name must have passed `check_header_names`.
    """
    key = name.lower()
    if key.startswith("list-"):
        return encode_verbatim(name, value)
    if key == "sender":
        return encode_mailbox(name, value)
    return encode_text(name, value)


def encode_text(name: str, value: str) -> bytes:
    """An unstructured header such as Subject, and its CRLF: folded ASCII where that is exact, else encoded words.

    A reader gets back precisely `value`. Raises `UnsafeValueError`.
    """
    check_value(name, value)
    # Readers strip spaces at both ends, and may take `=?` for the beginning of an encoded word.
    if value.isascii() and value.strip(" ") == value and "=?" not in value:
        if len(name) + 2 + len(value) <= GOOD_LINE:
            return f"{name}: {value}\r\n".encode("ascii")
        lines = list(_fold(f"{name}:", f" {value}"))
        if max(map(len, lines)) <= MAX_LINE:
            return "\r\n".join(lines).encode("ascii") + b"\r\n"
    words = encode_words(value, first_room=GOOD_LINE - 2 - len(name) - 2)
    return f"{name}: {FOLD.join(words)}\r\n".encode("ascii")


def _fold(line: str, value: str) -> Iterator[str]:
    """Break before spaces, but leave no line of spaces alone (RFC 5322 section 3.2.2) and none without its value."""
    first, *others = _WORD.findall(value)
    line += first
    for word in others:
        if len(line) + len(word) > GOOD_LINE:
            yield line
            line = ""
        line += word
    yield line


def encode_verbatim(name: str, value: str) -> bytes:
    """A header that machines read, such as List-Unsubscribe, and its CRLF: one line, never folded, never encoded.

    Folded or encoded, the URL is lost on receivers and the one-click button with it (RFC 8058). Raises
    `UnsafeValueError` unless the value is printable ASCII and the line at most 998 long.
    """
    check_value(name, value)
    if not value.isascii():
        odd = next(character for character in value if not character.isascii())
        raise UnsafeValueError(name, f"must be ASCII and has {name_character(odd)}")
    if (length := len(name) + 2 + len(value)) > MAX_LINE:
        raise UnsafeValueError(name, f"makes a line of {length} characters, at most {MAX_LINE} are possible")
    return f"{name}: {value}\r\n".encode("ascii")


def encode_parameter(name: str, value: str) -> str:
    """A MIME parameter as it follows a media type: `;`, a folded space, `filename="a.pdf"` (RFC 2231).

    What is not plain ASCII is percent-encoded UTF-8, and what is long is continued over `name*0*`, `name*1*`. Raises
    `UnsafeValueError`.
    """
    check_value(name, value)
    if value.isascii() and len(name) + len(value) <= 60 and '"' not in value and "\\" not in value:
        return f';{FOLD}{name}="{value}"'
    lines = [""]
    for character in value:
        encoded = quote(character, safe="")
        if len(lines[-1]) + len(encoded) > 50:
            lines.append("")
        lines[-1] += encoded
    lines[0] = f"utf-8''{lines[0]}"
    if len(lines) == 1:
        return f";{FOLD}{name}*={lines[0]}"
    return "".join(f";{FOLD}{name}*{number}*={line}" for number, line in enumerate(lines))
