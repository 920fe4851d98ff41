"""Asynchronous, queued, exact bulk mail for people who write scripts."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailer.api.asked import SendKeywords
    from mailer.api.async_handle import AsyncHandle
    from mailer.api.async_mailer import AsyncMailer
    from mailer.api.campaign import Campaign
    from mailer.api.handle import Handle
    from mailer.api.mailer import Mailer
    from mailer.api.report import AsyncReport, Report
    from mailer.api.token import read_token
    from mailer.vocabulary.campaign import CampaignState, CampaignStatus
    from mailer.vocabulary.errors import (
        MailerError,
        NotSentError,
        QueueError,
        RelayError,
        SourceError,
        StoppedWaitingError,
        TemplateError,
        UsageError,
    )
    from mailer.vocabulary.event import RecipientEvent
    from mailer.vocabulary.recipient import State
    from mailer.vocabulary.report import RecipientRecord

__version__ = "0.1.0"

__all__ = [
    "AsyncHandle",
    "AsyncMailer",
    "AsyncReport",
    "Campaign",
    "CampaignState",
    "CampaignStatus",
    "Handle",
    "Mailer",
    "MailerError",
    "NotSentError",
    "QueueError",
    "RecipientEvent",
    "RecipientRecord",
    "RelayError",
    "Report",
    "SendKeywords",
    "SourceError",
    "State",
    "StoppedWaitingError",
    "TemplateError",
    "UsageError",
    "__version__",
    "read_token",
]

_HOMES = {
    "AsyncHandle": "mailer.api.async_handle",
    "AsyncMailer": "mailer.api.async_mailer",
    "AsyncReport": "mailer.api.report",
    "Campaign": "mailer.api.campaign",
    "CampaignState": "mailer.vocabulary.campaign",
    "CampaignStatus": "mailer.vocabulary.campaign",
    "Handle": "mailer.api.handle",
    "Mailer": "mailer.api.mailer",
    "MailerError": "mailer.vocabulary.errors",
    "NotSentError": "mailer.vocabulary.errors",
    "QueueError": "mailer.vocabulary.errors",
    "RecipientEvent": "mailer.vocabulary.event",
    "RecipientRecord": "mailer.vocabulary.report",
    "RelayError": "mailer.vocabulary.errors",
    "Report": "mailer.api.report",
    "SendKeywords": "mailer.api.asked",
    "SourceError": "mailer.vocabulary.errors",
    "State": "mailer.vocabulary.recipient",
    "StoppedWaitingError": "mailer.vocabulary.errors",
    "TemplateError": "mailer.vocabulary.errors",
    "UsageError": "mailer.vocabulary.errors",
    "read_token": "mailer.api.token",
}
"""Where a public name lives. It is loaded on first use (PEP 562): `import mailer` costs nothing."""


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
