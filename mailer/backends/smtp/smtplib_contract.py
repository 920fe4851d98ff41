"""smtplib's contract on top of a transmission: a dict of refused recipients, or an exception when nobody is left."""

import re
from collections.abc import Mapping
from email.message import EmailMessage

import aiosmtplib
from aiosmtplib.email import extract_recipients, extract_sender, flatten_message

from mailer.vocabulary.phase import Phase
from mailer.vocabulary.transmission import Answered, Interrupted, Transmission, Unsendable
from mailer.vocabulary.verdict import Reason

_LINE_END = re.compile(rb"\r\n|\r|\n")


async def always() -> bool:
    """The permit of somebody who keeps no ledger."""
    return True


def with_crlf(content: bytes) -> bytes:
    """Every line end as CRLF: a bare CR or LF could end the message early for some relay (SMTP smuggling)."""
    return _LINE_END.sub(b"\r\n", content)


def sender_of(message: EmailMessage) -> str:
    """The address of Sender, else of From. Raises ValueError."""
    if (sender := extract_sender(message)) is None:
        raise ValueError("the message names no sender: give one, or set From")
    return sender


def recipients_of(message: EmailMessage) -> list[str]:
    """The addresses of To, Cc and Bcc. Raises ValueError."""
    if not (recipients := extract_recipients(message)):
        raise ValueError("the message names no recipient: give one, or set To")
    return recipients


def flatten(message: EmailMessage, *, utf8: bool, eight_bit: bool) -> bytes:
    """The message as bytes with CRLF line ends, without Bcc."""
    return flatten_message(message, utf8=utf8, cte_type="8bit" if eight_bit else "7bit")


def ensure_sendable(unsendable: Mapping[str, Unsendable]) -> None:
    """All or nothing, as smtplib has it: raise before anything is said."""
    for trouble in unsendable.values():
        if trouble.reason is Reason.SYNTAX:
            raise ValueError(trouble.text)
        raise aiosmtplib.SMTPNotSupported(trouble.text)


def conclude(transmission: Transmission, sender: str) -> tuple[dict[str, tuple[int, str]], str]:
    """The refused recipients and the relay's last words, or the exception that says why it took nothing."""
    last_words: str | None = None
    refused: list[aiosmtplib.SMTPRecipientRefused] = []
    for address, answer in transmission.answers.items():
        match answer:
            case Answered(Phase.DOT, reply) if reply.is_positive:
                last_words = reply.words
            case Answered(Phase.RCPT, reply):
                refused.append(aiosmtplib.SMTPRecipientRefused(reply.code, reply.words, address))
            case Answered(Phase.MAIL, reply):
                raise aiosmtplib.SMTPSenderRefused(reply.code, reply.words, sender)
            case Answered(_, reply):
                raise aiosmtplib.SMTPDataError(reply.code, reply.words)
            case Interrupted(phase, cause):
                raise aiosmtplib.SMTPServerDisconnected(f"{phase.upper()}: {cause}")
    if last_words is None:
        raise aiosmtplib.SMTPRecipientsRefused(refused)
    return transmission.refused, last_words
