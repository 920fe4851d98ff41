"""The outcome of one attempt for one recipient, shaped like the per-recipient fields of a DSN (RFC 3464)."""

from enum import StrEnum

from msgspec import Struct

from mailer.vocabulary.phase import Phase
from mailer.vocabulary.recipient import State
from mailer.vocabulary.reply import Reply


class Class(StrEnum):
    """Whose trouble it is, and whether it may pass: the server's for good, the server's for now, ours, nobody knows."""

    PERMANENT = "permanent"
    TEMPORARY = "temporary"
    LOCAL = "local"
    UNKNOWN = "unknown"


class Outcome(Struct, frozen=True, kw_only=True, gc=False):
    """Where a recipient goes from here, and everything the report will say about why.

    `text` holds our own words where no server spoke; `reason` is the one-word cause (`expired`, `too_big`, `policy`);
    `counted` says whether this attempt counts against `max_attempts`; `due_ms` is when a deferred recipient may be
    tried again (Redis time, ms).
    """

    state: State
    phase: Phase | None = None
    failure: Class | None = None
    reason: str | None = None
    reply: Reply | None = None
    text: str | None = None
    counted: bool = True
    due_ms: int | None = None
    suppress: bool = False
