"""What keeps a message from being shown, in the words that a terminal would have."""

from dataclasses import dataclass

from mailer.flow.preview import InvalidRowError
from mailer.vocabulary.errors import MailerError


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """An error for a page. `code` is None for a row that is only left out, and for what is no error of ours."""

    code: str | None
    message: str
    where: str | None = None
    why: str | None = None
    hint: str | None = None


def trouble_of(error: Exception, row: int) -> Trouble:
    """The same error for a page; row 0 is the campaign as a whole."""
    if isinstance(error, MailerError):
        return Trouble(code=error.code, message=error.message, where=error.where, why=error.why, hint=error.hint)
    if isinstance(error, InvalidRowError):
        who = f" ({error.email})" if error.email else ""
        return Trouble(code=None, message=f"row {row}{who} is left out as invalid: {error}")
    what = f"row {row}" if row else "the campaign"
    return Trouble(code=None, message=f"{what} cannot be shown: {type(error).__name__}: {error}")
