"""The commands of an envelope, as they go over the wire (RFC 5321 section 4.1.1)."""

from mailer.backends.smtp.capabilities import Capabilities
from mailer.vocabulary.envelope import Envelope

DATA = b"DATA\r\n"
RSET = b"RSET\r\n"
LONE_DOT = b".\r\n"


def mail(envelope: Envelope, content: bytes, capabilities: Capabilities) -> bytes:
    """MAIL with the parameters this message needs; a parameter that is not needed is one more thing to be refused."""
    size = f" SIZE={len(content)}" if capabilities.size else ""
    body = "" if content.isascii() else " BODY=8BITMIME"
    utf8 = " SMTPUTF8" if envelope.needs_smtputf8 else ""
    return f"MAIL FROM:<{envelope.reverse_path}>{size}{body}{utf8}\r\n".encode()


def rcpt(address: str) -> bytes:
    """RCPT for one recipient."""
    return f"RCPT TO:<{address}>\r\n".encode()
