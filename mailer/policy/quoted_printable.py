"""Quoted-printable bodies: any text in lines of at most 76 ASCII octets (RFC 2045 section 6.7)."""

from binascii import b2a_qp
from collections.abc import Iterator

from mailer.policy.body import Body

MAX_KEPT = 500_000
"""Characters of the lines that an encoder keeps, the last one apart."""
SHORT = 1_000
"""Characters between two blocks that are encoded as a whole: their lines are new ones, and not worth remembering."""


def encode_body(text: str) -> bytes:
    """Encode a body: UTF-8, every line end CRLF, the last line ended. Decoded it is the text with CRLF line ends.

    Raises UnicodeEncodeError on a lone surrogate.
    """
    octets = _with_line_feeds(text).encode()
    if not octets.endswith(b"\n"):
        octets += b"\n"
    # b2a_qp breaks long lines as the first line of its input ends, so CRLF must be in place before.
    return b2a_qp(octets.replace(b"\n", b"\r\n"))


class BodyEncoder:
    """Encodes the bodies of a campaign, which are alike but for a few lines: a line that comes again is encoded once.

    What it makes does not depend on what it has made before. Threads may share one.
    """

    __slots__ = ("_lines",)

    def __init__(self) -> None:
        self._lines = _EncodedLines()

    def encode(self, text: str) -> bytes:
        """The same bytes as `encode_body`. Raises UnicodeEncodeError on a lone surrogate."""
        if isinstance(text, Body) and text.blocks:
            return b"".join(self._stretches(text))
        # What a line becomes depends on no other line, and without its end it still has one of its own.
        lines = _with_line_feeds(text).removesuffix("\n").split("\n")
        return b"".join(map(self._lines.__getitem__, lines))

    def _stretches(self, body: Body) -> Iterator[bytes]:
        for text, block in zip(body.between, body.blocks, strict=False):
            # Empty where two blocks meet, else it ends with a line.
            if text:
                yield self._encode_lines(text)
            yield block.encoded(encode_body)
        if body.between[-1]:
            yield self._encode_lines(body.between[-1])

    def _encode_lines(self, text: str) -> bytes:
        return encode_body(text) if len(text) <= SHORT else self.encode(text)


class _EncodedLines(dict[str, bytes]):
    """Lines without their end, and what they are on the wire. When there are too many all are forgotten."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        super().__init__()
        self._kept = 0

    def __missing__(self, line: str) -> bytes:
        encoded = encode_body(line)
        if self._kept > MAX_KEPT:
            self.clear()
            self._kept = 0
        self[line] = encoded
        self._kept += len(line)
        return encoded


def _with_line_feeds(text: str) -> str:
    # A lone CR or LF on the wire is how a second message is smuggled in (CVE-2023-51764): each is a line end here.
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
