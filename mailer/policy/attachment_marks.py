"""Marks: where in a message the content of a file belongs, so that the queue holds every file once."""

import base64
import re
from collections.abc import Mapping

_MARK = re.compile(rb"\0([0-9a-f]{64})")
_LINE = 57
"""Bytes of a file in a line of base64 (RFC 2045 section 6.8: at most 76 characters)."""


def mark(digest: str) -> bytes:
    """What stands for the file with this SHA-256: a built message has no NUL anywhere else (RFC 5322 section 2.2)."""
    return b"\0" + digest.encode("ascii")


def has_marks(content: bytes) -> bool:
    """True when a file belongs into it."""
    return b"\0" in content


def digests_in(content: bytes) -> list[str]:
    """The files that a message carries, in their order, each once."""
    return list(dict.fromkeys(found.decode("ascii") for found in _MARK.findall(content)))


def fill(content: bytes, bodies: Mapping[str, bytes]) -> bytes:
    """The message as it goes over the wire: every mark replaced by the encoded file."""
    return _MARK.sub(lambda found: bodies[found[1].decode("ascii")], content)


def encode_file(content: bytes) -> bytes:
    """A file as the body of a part: base64 in lines of 76 characters, CRLF after each."""
    encoded = base64.b64encode(content)
    step = _LINE // 3 * 4
    return b"".join(encoded[at : at + step] + b"\r\n" for at in range(0, len(encoded), step))


def encoded_size(size: int) -> int:
    """Bytes that `encode_file` makes of a file of `size` bytes."""
    characters = -(-size // 3) * 4
    return characters + 2 * -(-characters // 76)
