"""A reply of an SMTP server, made safe to keep."""

import re

from msgspec import Struct

MAX_TEXT = 500
"""Characters of reply text that are kept."""

# RFC 3463 section 2: class "." subject "." detail, no leading zeros, three digits at most for the last two.
_ENHANCED = re.compile(r"([245]\.(?:0|[1-9]\d{0,2})\.(?:0|[1-9]\d{0,2}))(?:\s+|$)")
# C0, DEL, C1 and the bidirectional controls: a reply is shown on terminals and pages.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")


class Reply(Struct, frozen=True, gc=False):
    """One complete reply: basic code, enhanced status code where the server gave one, and the text without it.

    Make one with `Reply.read`, which sanitises: the text is then storable UTF-8 of at most `MAX_TEXT` characters.
    """

    code: int
    enhanced_code: str | None
    text: str

    @classmethod
    def read(cls, code: int, lines: list[bytes]) -> "Reply":
        """Build a reply from its code and the text of its lines as they came off the wire. Never raises on content."""
        enhanced: str | None = None
        words = []
        for line in lines:
            text = sanitise(line)
            if (match := _ENHANCED.match(text)) is not None:
                enhanced = enhanced or match[1]
                text = text[match.end() :]
            if text:
                words.append(text)
        return cls(code, enhanced, " ".join(words)[:MAX_TEXT])

    @property
    def is_positive(self) -> bool:
        """True for 2xx: done, accepted (RFC 5321 section 4.2.1)."""
        return 200 <= self.code < 300

    @property
    def is_intermediate(self) -> bool:
        """True for 3xx: go on with the message."""
        return 300 <= self.code < 400

    @property
    def is_transient(self) -> bool:
        """True for 4xx: the basic code alone decides between retry and refusal, whatever the enhanced code says."""
        return 400 <= self.code < 500

    @property
    def is_permanent(self) -> bool:
        """True for 5xx."""
        return 500 <= self.code < 600

    @property
    def status(self) -> str:
        """The enhanced status code, or the default of its class where the server gave none (`5.0.0`)."""
        return self.enhanced_code or f"{self.code // 100}.0.0"

    @property
    def words(self) -> str:
        """The server's own words: enhanced status code and text, as smtplib's refused dict has them."""
        return f"{self.enhanced_code} {self.text}".strip() if self.enhanced_code else self.text

    def __str__(self) -> str:
        return f"{self.code} {self.words}".strip()


def sanitise(raw: bytes | str) -> str:
    """Turn bytes from outside into text that can be stored, logged and shown: undecodable bytes escaped, controls gone.

    A reply that cannot be recorded would turn a 250 into a second send, so this accepts everything.
    """
    if isinstance(raw, bytes):
        text = raw[: 4 * MAX_TEXT].decode("utf-8", "backslashreplace")
    else:
        text = raw[: 4 * MAX_TEXT].encode("utf-8", "backslashreplace").decode("utf-8")
    if not text.isprintable():
        text = _CONTROLS.sub(" ", text)
    return text.strip()[:MAX_TEXT]
