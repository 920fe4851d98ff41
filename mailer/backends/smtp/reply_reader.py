"""Bytes from the relay, read as replies (RFC 5321 section 4.2)."""

import re
from collections.abc import Iterator
from functools import lru_cache

from mailer.vocabulary.reply import Reply, sanitise

MAX_LINE = 8 * 1024
"""Bytes of one line; RFC 5321 section 4.5.3.1.5 asks for 512, some greetings are longer."""
MAX_REPLY = 32 * 1024
"""Bytes of a whole reply: a relay may not fill our memory with continuation lines."""

_LINE = re.compile(rb"([2-5]\d\d)(?:([ -])(.*))?", re.DOTALL)


class MalformedReplyError(Exception):
    """What came is not a reply of SMTP, or longer than one may be."""


class ReplyReader:
    """Cuts a stream of bytes into replies, however the network cut it into segments."""

    def __init__(self) -> None:
        self._tail = b""
        self._code = 0
        self._texts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[Reply]:
        """Every reply that is complete now, in order. Raises `MalformedReplyError` behind the last good one."""
        *lines, self._tail = (self._tail + data).split(b"\n")
        for ended in lines:
            line = ended.removesuffix(b"\r")
            reply = (_whole(line) if not self._texts else None) or self._take(line)
            if reply is not None:
                yield reply
        if len(self._tail) > MAX_LINE:
            raise MalformedReplyError(f"reply line longer than {MAX_LINE} bytes")

    def _take(self, line: bytes) -> Reply | None:
        if len(line) > MAX_LINE:
            raise MalformedReplyError(f"reply line longer than {MAX_LINE} bytes")
        match = _LINE.fullmatch(line)
        if match is None:
            raise MalformedReplyError(f"not an SMTP reply: {sanitise(line)[:80]!r}")
        code, text = int(match[1]), match[3] or b""
        if self._texts and code != self._code:
            raise MalformedReplyError(f"reply changed its code from {self._code} to {code}")
        self._code = code
        self._texts.append(text)
        self._size += len(line)
        if self._size > MAX_REPLY:
            raise MalformedReplyError(f"reply longer than {MAX_REPLY} bytes")
        if match[2] == b"-":
            return None
        texts, self._texts, self._size = self._texts, [], 0
        return Reply.read(code, texts)


@lru_cache(maxsize=256)
def _whole(line: bytes) -> Reply | None:
    """The reply that is this one line, if it is one. Relays say the same few all day, so they are read once."""
    match = _LINE.fullmatch(line) if len(line) <= MAX_LINE else None
    if match is None or match[2] == b"-":
        return None
    return Reply.read(int(match[1]), [match[3] or b""])
