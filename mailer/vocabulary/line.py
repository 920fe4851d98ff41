"""A recipient as the long lists of a report have it: ready to be written, and as cheap as a tuple."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from mailer.vocabulary.recipient import LeftOut
from mailer.vocabulary.report import RecipientRecord

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


class Line(NamedTuple):
    """What the report says of one recipient, or of a row left out. Field order is that of every format.

    The fields are those of `RecipientRecord`, with times as `instant` writes them and states, phases and classes as
    words; `failure` is written as `class`.
    """

    row: int
    email: str
    state: str
    code: int | None = None
    enhanced_code: str | None = None
    text: str | None = None
    phase: str | None = None
    failure: str | None = None
    reason: str | None = None
    attempts: int = 0
    first_try: str | None = None
    last_try: str | None = None
    next_try: str | None = None
    queue_ms: int | None = None
    smtp_ms: int | None = None
    message_id: str | None = None
    server_queue_id: str | None = None
    relay: str | None = None
    worker: str | None = None
    tls: str | None = None


def line_of(row: RecipientRecord | LeftOut) -> Line:
    """The line of a recipient, or of a row that never became one."""
    if isinstance(row, LeftOut):
        return Line(row.row, row.email, row.kind.value, reason=row.reason)
    return Line(
        row.row,
        row.email,
        row.state.value,
        row.code,
        row.enhanced_code,
        row.text,
        row.phase and row.phase.value,
        row.failure and row.failure.value,
        row.reason,
        row.attempts,
        _written(row.first_try),
        _written(row.last_try),
        _written(row.next_try),
        row.queue_ms,
        row.smtp_ms,
        row.message_id,
        row.server_queue_id,
        row.relay,
        row.worker,
        row.tls,
    )


def instant(ms: int) -> str:
    """A time (Unix milliseconds) in ISO 8601, UTC with milliseconds: `2026-11-21T07:21:28.123Z`."""
    second, rest = divmod(ms, 1000)
    return f"{_second(second)}.{rest:03d}Z"


# What a report says of neighbours happened within few seconds, and a calendar is slow.
@lru_cache(maxsize=4096)
def _second(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).isoformat()[:-6]


def _written(time: datetime | None) -> str | None:
    return None if time is None else instant((time - _EPOCH) // _MS)
