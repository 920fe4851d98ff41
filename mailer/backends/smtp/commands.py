"""The commands of an envelope, as they go over the wire (RFC 5321 section 4.1.1)."""

from msgspec import Struct

from mailer.backends.smtp.capabilities import Capabilities
from mailer.policy.dot_stuffing import size_of
from mailer.vocabulary.envelope import Envelope, MailData

DATA = b"DATA\r\n"
RSET = b"RSET\r\n"
LONE_DOT = b".\r\n"


class Offer(Struct, frozen=True, gc=False):
    """What offers a message: MAIL, a RCPT for each recipient, and DATA."""

    mail: bytes
    rcpts: dict[str, bytes]
    """By recipient, in the order of the envelope."""

    @classmethod
    def of(cls, envelope: Envelope, data: MailData, capabilities: Capabilities) -> "Offer":
        """With the parameters this message needs; a parameter that is not needed is one more thing to be refused."""
        size = f" SIZE={size_of(data, capabilities.size_limit)}" if capabilities.size else ""
        body = "" if data.isascii() else " BODY=8BITMIME"
        utf8 = " SMTPUTF8" if envelope.needs_smtputf8 else ""
        return cls(
            f"MAIL FROM:<{envelope.reverse_path}>{size}{body}{utf8}\r\n".encode(),
            {address: f"RCPT TO:<{address}>\r\n".encode() for address in envelope.recipients},
        )

    @property
    def words(self) -> bytes:
        """All of it in one piece."""
        return b"".join((self.mail, *self.rcpts.values(), DATA))

    @property
    def replies(self) -> int:
        """How many replies it brings."""
        return len(self.rcpts) + 2
