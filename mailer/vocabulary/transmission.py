"""What one attempt to hand a message to the relay came to, recipient by recipient."""

from collections.abc import Mapping

from msgspec import Struct

from mailer.vocabulary.phase import Phase
from mailer.vocabulary.reply import Reply
from mailer.vocabulary.verdict import Reason


class Answered(Struct, frozen=True, gc=False):
    """The server's reply decided: at RCPT for this recipient, or at MAIL, DATA or the dot for the whole message."""

    phase: Phase
    reply: Reply


class Interrupted(Struct, frozen=True, gc=False):
    """No (understandable) reply: cut, timed out, malformed or cancelled while `phase` was going on.

    `body_begun` is the one fact that matters: after the first body byte nobody may send the message again by himself.
    """

    phase: Phase
    cause: str
    body_begun: bool


class Withheld(Struct, frozen=True, gc=False):
    """We did not send: the `sending` mark was refused, or could not be written. No body byte has left."""

    cause: str


class Unsendable(Struct, frozen=True, gc=False):
    """This relay cannot carry it (RFC 1870, 6152, 6531) or it may not be said at all: decided by us, before MAIL.

    Such a recipient is `failed`: trying again would come to the same.
    """

    reason: Reason
    text: str


Answer = Answered | Interrupted | Withheld | Unsendable
"""The end of one attempt for one recipient."""


class Transmission(Struct, frozen=True, kw_only=True, gc=False):
    """One attempt on one connection.

    `answers` has exactly one entry for every recipient of the envelope. `relay` is `host:port`; `tls` the protocol
    version or None; `seconds` the time from MAIL to the last reply; `connection` counts the messages of this
    connection, from 1.
    """

    answers: Mapping[str, Answer]
    relay: str
    tls: str | None
    seconds: float
    connection_use: int

    @property
    def refused(self) -> dict[str, tuple[int, str]]:
        """smtplib's dict of refused recipients: `{address: (code, text)}`, in the server's words."""
        return {
            address: (answer.reply.code, answer.reply.words)
            for address, answer in self.answers.items()
            if isinstance(answer, Answered) and not answer.reply.is_positive
        }
