"""Errors a person has to act on: what, where, why, how to mend it, and what is safe."""

from typing import ClassVar

NOT_SENT, USAGE, CHECK_FAILED, UNREACHABLE, STOPPED_WAITING = 1, 2, 3, 4, 5


class MailerError(Exception):
    """Something the caller must repair; the subclass tells the remedy, the object says the rest.

    `code` is the stable name (`E401`). `message` says what happened, `where` names file, row and line, `why` explains,
    `hint` is a command or a line to change, `safe` says what was not lost, `cause` is the raw cause for a log.
    """

    exit_code: ClassVar[int] = USAGE

    def __init__(
        self,
        code: str,
        message: str,
        *,
        where: str | None = None,
        why: str | None = None,
        hint: str | None = None,
        safe: str | None = None,
        cause: str | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.where = where
        self.why = why
        self.hint = hint
        self.safe = safe
        self.cause = cause
        self.retryable = retryable

    def to_dict(self) -> dict[str, object]:
        """The `error` object of a JSON document."""
        return {
            "code": self.code,
            "message": self.message,
            "where": self.where,
            "hint": self.hint,
            "cause": self.cause or self.why,
            "retryable": self.retryable,
        }


class UsageError(MailerError):
    """A flag, a setting or a secret is wrong or missing (E1xx, E205, E502): change it and run again."""


class SourceError(MailerError):
    """The list of recipients cannot be read or used (E2xx): mend the file."""

    exit_code: ClassVar[int] = CHECK_FAILED


class TemplateError(MailerError):
    """A template cannot be used, or a row cannot be built with it (E3xx): mend the template or the row."""

    exit_code: ClassVar[int] = CHECK_FAILED


class RelayError(MailerError):
    """The mail server cannot be reached, verified or logged in to (E4xx): mend the route; no recipient is burned."""

    exit_code: ClassVar[int] = UNREACHABLE


class FindingError(MailerError):
    """Something works, and will not do what it is meant for (E436, E437): found by trying it, before mail is sent."""

    exit_code: ClassVar[int] = CHECK_FAILED


class QueueError(MailerError):
    """The queue server cannot be reached or started (E5xx)."""

    exit_code: ClassVar[int] = UNREACHABLE


class NotSentError(MailerError):
    """Somebody who was accepted did not get it, or nobody knows (E212): look at the report."""

    exit_code: ClassVar[int] = NOT_SENT


class StoppedWaitingError(MailerError, TimeoutError):
    """The time to wait is over and work is still queued (E511): wait again, nothing is lost."""

    exit_code: ClassVar[int] = STOPPED_WAITING
