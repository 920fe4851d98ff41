"""The desk of a program's mailer: everything that handles and mailers do with a queue goes over it."""

from typing import TYPE_CHECKING, Protocol, Self

from mailer.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractContextManager

    from mailer.api.accepting import Acceptance
    from mailer.api.asked import Asked
    from mailer.api.campaign import Campaign
    from mailer.interfaces.ledger import ControlLedger, ReportLedger
    from mailer.vocabulary.campaign import CampaignStatus
    from mailer.vocabulary.event import RecipientEvent


class Listener(Protocol):
    """Tells every event of one campaign once."""

    @property
    def pause_s(self) -> float:
        """Seconds until the next look is due."""

    def news(self) -> "AsyncIterator[RecipientEvent]":
        """What has happened since the last look."""


class Desk(Protocol):
    """A queue, open from `async with` to its end.

    Everything but opening, and `acceptance`, which does not touch the queue, raises `UsageError` E132 while it is not.
    """

    @property
    def look_s(self) -> float:
        """Seconds between two looks at a campaign that somebody waits for."""

    def check_open(self) -> None:
        """Raises `UsageError` E132 outside `async with`."""

    @property
    def reading(self) -> "ReportLedger":
        """The reader's side of the ledger."""

    @property
    def control(self) -> "ControlLedger":
        """The operator's side of it."""

    async def __aenter__(self) -> Self:
        """Open it."""

    async def __aexit__(self, *error: object) -> None:
        """Close it; a worker of its own ends."""

    def explaining(self) -> "AbstractContextManager[None]":
        """Turn the queue's errors into ours; never around code of the caller's."""

    async def find(self, wanted: str | None) -> str | None:
        """The id of a campaign by an unambiguous beginning, or of the latest; None when there is none."""

    def listener(self, campaign_id: str) -> Listener:
        """Somebody who has heard nothing of this campaign yet."""

    def acceptance(self, campaign: "Campaign", asked: "Asked") -> "Acceptance":
        """How this campaign goes into this queue. Raises `UsageError` for its settings."""

    async def try_first(self, acceptance: "Acceptance") -> bool:
        """Where nobody else works, try the relay before anything is accepted. True when we are alone.

        Raises:
            UsageError: E105 without a mail server, E113 without its password.
            RelayError: it cannot be reached, verified or logged in to.
        """

    async def attend(self, status: "CampaignStatus", *, tried: bool = False) -> None:
        """See to it that somebody works on a campaign that waits for it. Raises what `try_first` raises."""

    async def help(self, acceptance: "Acceptance") -> None:
        """While a campaign is accepted that runs already, see to it that somebody works. Ends when it is cancelled."""


def not_open() -> UsageError:
    """E132, for a desk that is used outside `async with`."""
    return UsageError("E132", "this mailer is not open", hint="async with AsyncMailer.from_env() as mailer: …")
