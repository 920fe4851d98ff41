"""What programs are told of a captured message: on standard output and over HTTP alike."""

from datetime import UTC, datetime
from typing import Any

from mailer.capture.mailbox import Captured
from mailer.reports.figures import moment


def message_document(message: Captured) -> dict[str, Any]:
    """The keys of one message."""
    return {
        "id": message.id,
        "taken": moment(taken_at(message)),
        "reverse_path": message.reverse_path,
        "recipients": list(message.recipients),
        "subject": message.subject,
        "bytes": len(message.content),
        "answered": message.answered,
    }


def taken_at(message: Captured) -> datetime:
    """When it was taken."""
    return datetime.fromtimestamp(message.taken_ms / 1000, UTC)
