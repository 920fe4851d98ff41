"""The ledger: the one truth about every recipient. Every change is a compare-and-set and is safe to repeat."""

from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Protocol

from mailer.vocabulary.acts import Resolution, Retried, Selection
from mailer.vocabulary.campaign import Campaign, CampaignStatus, PausedBy
from mailer.vocabulary.chunk import Attempt, Claim, Claimed, Draft
from mailer.vocabulary.envelope import MailData
from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.outcome import Outcome
from mailer.vocabulary.recipient import LeftOut
from mailer.vocabulary.report import RecipientRecord

Ranges = tuple[tuple[int, int], ...]
"""Rows of a source, as ranges of numbers with both ends, in order."""


class CampaignGoneError(UsageError):
    """Another producer dropped the campaign, or brought it to its end (E109): begin again with `open`."""


class IntakeLedger(Protocol):
    """What the producer needs. Two producers of one campaign make one set of recipients."""

    async def open(self, proposal: Campaign, *, append: bool = False) -> Campaign:
        """Create the campaign unless its key is known; return the one that stands.

        Raises `UsageError` E205 when the key is known with another fingerprint, unless this is to be appended to it.
        """

    async def status(self, campaign_id: str) -> CampaignStatus:
        """Where the campaign stands. Raises `UsageError` E109 when there is none."""

    async def accept(self, campaign: Campaign, drafts: Sequence[Draft]) -> frozenset[int]:
        """Store the drafts as one chunk with the files they carry, or nothing at all when some are there already.

        Returns the places of those; empty means stored. The others are simply handed in again.
        """

    async def leave_out(self, campaign: Campaign, run: str, rows: Sequence[LeftOut]) -> None:
        """Keep rows that never become recipients, until this run seals the campaign."""

    async def seal(
        self,
        campaign: Campaign,
        run: str,
        *,
        invalid: int,
        duplicate: int,
        complete: bool,
        chosen: Ranges | None = None,
        at_ms: int | None = None,
    ) -> bool:
        """The source was read to the end: the draft runs from now on, or waits for its time. False when sealed before.

        `complete` is False when the rest of the source is to come (`complete` is called then).
        """

    async def reopen(self, campaign: Campaign, *, appending: str | None = None, after: int = 0) -> int:
        """More recipients are to come: until `complete` the campaign is not finished, and a finished one runs again.

        `appending` is the fingerprint of another list; without it, it is more of the campaign's own. The rows of
        another list are numbered on from `after`, as it was said first: returned is what to add to them.
        Raises `UsageError` E114 when it was cancelled.
        """

    async def complete(
        self,
        campaign: Campaign,
        run: str,
        *,
        invalid: int,
        duplicate: int,
        chosen: Ranges | None = None,
        appended: str | None = None,
    ) -> None:
        """All that was to come is stored. The counts and left-out rows of this run are the campaign's from now on.

        With `appended`, the fingerprint of another list, they are added to those there were, once for each list.
        """

    async def members(self, campaign_id: str, addresses: Sequence[str]) -> frozenset[str]:
        """Those of the addresses that are recipients of a campaign. Raises `UsageError` E109 when there is none."""

    async def drop(self, campaign: Campaign) -> None:
        """Remove a draft and everything stored for it; a sealed campaign is left alone."""

    async def queued_bytes(self, campaign: Campaign) -> int:
        """Payload bytes of recipients that are not final."""

    async def suppressed(self, addresses: Sequence[str]) -> frozenset[str]:
        """Those of the addresses that are on the suppression list."""


class DeliveryLedger(Protocol):
    """What a worker needs."""

    async def campaign(self, campaign_id: str) -> Campaign:
        """What was accepted. Raises `UsageError` E109 when there is none."""

    async def claim(self, campaign: Campaign, chunk: int) -> Claim:
        """Take the recipients of a chunk that are queued or due. Empty when there are none or it is not running."""

    def mail_data(self, claim: Claim, recipient: Claimed) -> MailData:
        """The message, with marks for attached files. Raises ValueError when it is damaged."""

    async def attachment(self, campaign: Campaign, digest: str) -> bytes:
        """The content of a file that messages of this campaign carry. Raises LookupError when it is not there."""

    def mark(self, claim: Claim, recipient: Claimed) -> Awaitable[bool]:
        """Ask for the durable `sending` mark; the answer is a `Permit`'s."""

    def record(self, claim: Claim, recipient: Claimed, outcome: Outcome, attempt: Attempt | None = None) -> None:
        """Write an outcome, soon and together with others. Kept in memory and tried again while Redis is away."""

    async def end_run(self, claim: Claim, *, rest_s: float = 0.0) -> None:
        """All outcomes of the claim are in Redis: pack what is final, hand in a job for what is queued.

        `rest_s` keeps the queued ones back for so long (the route is in trouble).
        """

    async def postpone(self, campaign: Campaign, chunk: int, rest_s: float) -> None:
        """Look at this chunk again after so many seconds, without a claim."""

    async def pause(self, campaign_id: str, reason: str, by: PausedBy) -> bool:
        """Stop a running campaign. False when it was not running."""


class ReconcilerLedger(Protocol):
    """What heals: run by one worker at a time."""

    async def lead(self) -> bool:
        """True for the one worker that reconciles now; held by a lease."""

    async def take_over(self) -> int:
        """Give back what dead workers held: claimed to queued, sending to in doubt. Returns recipients moved."""

    async def revive(self) -> int:
        """Make arq jobs for chunks that are due, and for open chunks whose job was lost. Returns jobs made."""

    async def next_due_s(self) -> float | None:
        """Seconds until the next retry is due, or None."""


class ReportLedger(Protocol):
    """What a reader needs."""

    async def status(self, campaign_id: str) -> CampaignStatus:
        """Where the campaign stands. Raises `UsageError` E109 when there is none."""

    def records(self, campaign: Campaign) -> AsyncIterator[RecipientRecord]:
        """Every recipient, ordered by row, streamed; each chunk of them read in one step."""

    def left_out(self, campaign: Campaign) -> AsyncIterator[LeftOut]:
        """The rows that never became recipients."""


class ControlLedger(Protocol):
    """What an operator needs. Everything may be said twice; a wrong state of the campaign raises `UsageError` E114."""

    async def pause(self, campaign_id: str, reason: str) -> bool:
        """Stop a running campaign. False when it was paused; it has the new reason then."""

    async def resume(self, campaign_id: str) -> bool:
        """Let a paused campaign run, with jobs for all that is open. False when it was running."""

    async def cancel(self, campaign_id: str, reason: str) -> int:
        """Cancel whoever is queued or deferred, for good; what is in flight finishes. Returns the number cancelled."""

    async def count(self, campaign_id: str, selection: Selection) -> Retried:
        """What `retry` would do."""

    async def retry(self, campaign_id: str, selection: Selection) -> Retried:
        """Queue the selected recipients again; a finished campaign is running again."""

    async def resolve(self, campaign_id: str, addresses: Sequence[str], resolution: Resolution) -> int:
        """Settle recipients in doubt; all of them must be, or nothing is changed. Returns the number that moved."""
