"""The envelope: who a message comes from and goes to, as MAIL and RCPT will say it (RFC 5321 section 2.3.1)."""

from typing import NewType

from msgspec import Struct

MailData = NewType("MailData", bytes)
"""A message as the DATA command carries it, dot-stuffed and with the line that ends it (RFC 5321 section 4.5.2)."""


class Envelope(Struct, frozen=True, gc=False):
    """Reverse-path and recipients of one transaction; every address is ASCII unless SMTPUTF8 is needed."""

    reverse_path: str
    recipients: tuple[str, ...]

    @property
    def needs_smtputf8(self) -> bool:
        """True when an address has a local part that only RFC 6531 can carry."""
        return not self.reverse_path.isascii() or not "".join(self.recipients).isascii()


class MailObject(Struct, frozen=True, gc=False):
    """What SMTP transports: an envelope and content (RFC 5321 section 2.3.1)."""

    envelope: Envelope
    data: MailData
