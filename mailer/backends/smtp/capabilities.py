"""What the relay offered in its reply to EHLO (RFC 5321 section 4.1.1.1)."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """The extensions that change what we say. `size_limit` is in bytes; None where the relay names no limit."""

    pipelining: bool = False
    """RFC 2920: the envelope may go out in one write."""
    size: bool = False
    """RFC 1870: MAIL may announce the size."""
    size_limit: int | None = None
    eight_bit_mime: bool = False
    """RFC 6152: the message may hold bytes above 127."""
    smtputf8: bool = False
    """RFC 6531: addresses need not be ASCII."""

    @classmethod
    def read(cls, extensions: Mapping[str, str]) -> "Capabilities":
        """From keyword (lower case) to parameters, as aiosmtplib's `esmtp_extensions` has them."""
        return cls(
            pipelining="pipelining" in extensions,
            size="size" in extensions,
            size_limit=_size_limit(extensions.get("size", "")),
            eight_bit_mime="8bitmime" in extensions,
            smtputf8="smtputf8" in extensions,
        )


def _size_limit(parameters: str) -> int | None:
    # RFC 1870 section 4: at most 20 digits; 0 means that no limit is in force. int() itself refuses 5,000 digits.
    digits = parameters.strip()
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 20):
        return None
    return int(digits) or None
