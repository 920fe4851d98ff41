"""Exceptions of aiosmtplib, asyncio and ssl as they are kept: causes, replies, safe text."""

import ssl
from collections.abc import Iterator

import aiosmtplib

from mailer.vocabulary.reply import Reply, sanitise


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was raised from, outermost first."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def verification_error(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """What the TLS library disliked about the certificate, if that is what ended it."""
    return next((cause for cause in causes_of(error) if isinstance(cause, ssl.SSLCertVerificationError)), None)


def reply_of(error: aiosmtplib.SMTPResponseException) -> Reply:
    """The reply that aiosmtplib raised as an exception."""
    lines = str(error.message).split("\n")
    return Reply.read(error.code, [line.encode("utf-8", "surrogateescape") for line in lines])


def raw(error: BaseException | Reply) -> str:
    """One line for a log: it may hold what the server said, so it is sanitised."""
    return str(error) if isinstance(error, Reply) else sanitise(f"{type(error).__name__}: {error}")
