"""Decoded words: a header as a person reads it (RFC 2047), whoever wrote it."""

from email.errors import MessageError
from email.header import decode_header, make_header


def decode_words(written: str) -> str:
    """The header with its encoded words decoded; as it is written, where they cannot be. Never raises."""
    if "=?" not in written:
        return written
    try:
        return str(make_header(decode_header(written)))
    except (MessageError, LookupError, ValueError, TypeError):
        # The standard library trusts the names of charsets, and ends in many ways where they are none.
        return written
