"""The ledger: the one truth about every recipient. Every change is a compare-and-set and is safe to repeat."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from mailer.interfaces.session import Permit
from mailer.vocabulary.acts import Resolution, Retried, Selection
from mailer.vocabulary.campaign import Campaign, CampaignStatus, PausedBy
from mailer.vocabulary.chunk import Attempt, Claim, Claimed, Draft
from mailer.vocabulary.outcome import Outcome
from mailer.vocabulary.recipient import LeftOut
from mailer.vocabulary.report import RecipientRecord


class IntakeLedger(Protocol):
    """What the producer needs. Two producers of one campaign make one set of recipients."""

    async def open(self, proposal: Campaign) -> Campaign:
        """Create the campaign unless its key is known; return the one that stands.

        Raises `UsageError` E205 when the key is known with another fingerprint.
        """

    async def status(self, campaign_id: str) -> CampaignStatus:
        """Where the campaign stands. Raises `UsageError` E109 when there is none."""

    async def accept(self, campaign: Campaign, drafts: Sequence[Draft]) -> frozenset[str]:
        """Store the drafts as one chunk, or nothing at all when some of their addresses are there already.

        Returns those addresses; empty means stored. Drafts after the first refusal are simply handed in again.
        """

    async def leave_out(self, campaign: Campaign, run: str, rows: Sequence[LeftOut]) -> None:
        """Keep rows that never become recipients, until this run seals the campaign."""

    async def seal(self, campaign: Campaign, run: str, *, invalid: int, duplicate: int, complete: bool) -> bool:
        """The source was read to the end: the draft runs from now on. False when it was sealed before."""

    async def complete(self, campaign: Campaign, run: str, *, invalid: int, duplicate: int) -> None:
        """The second pass has stored the rest of a source larger than the high-water mark."""

    async def drop(self, campaign: Campaign) -> None:
        """Remove a draft and everything stored for it; a sealed campaign is left alone."""

    async def queued_bytes(self, campaign: Campaign) -> int:
        """Payload bytes of recipients that are not final."""

    async def suppressed(self, addresses: Sequence[str]) -> frozenset[str]:
        """Those of the addresses that are on the suppression list."""


class DeliveryLedger(Protocol):
    """What a worker needs."""

    async def status(self, campaign_id: str) -> CampaignStatus:
        """Where the campaign stands. Raises `UsageError` E109 when there is none."""

    async def claim(self, campaign: Campaign, chunk: int) -> Claim:
        """Take the recipients of a chunk that are queued or due. Empty when there are none or it is not running."""

    def permit(self, claim: Claim, recipients: Sequence[Claimed]) -> Permit:
        """The durable `sending` mark for these recipients, to be asked for by the session."""

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
