"""The books of a ledger in memory: every campaign with its recipients, their histories and messages."""

import secrets
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import RLock
from typing import TYPE_CHECKING

from mailer.backends.redis.entries import Entry
from mailer.backends.redis.events import STATES, Event
from mailer.policy.addressing import key_of
from mailer.vocabulary.campaign import Campaign, CampaignState, CampaignStatus, PausedBy
from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.totals import Totals

if TYPE_CHECKING:
    from mailer.interfaces.ledger import Ranges
    from mailer.vocabulary.recipient import LeftOut


@dataclass(slots=True, eq=False)
class Recipient:
    """A recipient, its message (empty where there is none), and the token of whoever holds it."""

    entry: Entry
    content: bytes
    token: str = ""


@dataclass(slots=True)
class LeftOutRows:
    """Rows that never became recipients, and how many of each kind."""

    rows: "list[LeftOut]" = field(default_factory=list)
    invalid: int = 0
    duplicate: int = 0


@dataclass(slots=True, eq=False)
class Book:
    """One campaign."""

    campaign: Campaign
    state: CampaignState = CampaignState.DRAFT
    source_complete: bool = False
    paused_reason: str | None = None
    paused_by: PausedBy | None = None
    cancelled_reason: str | None = None
    started_ms: int | None = None
    finished_ms: int | None = None
    at_ms: int | None = None
    chosen: "Ranges | None" = None
    appended: list[str] = field(default_factory=list)
    appending: list[str] = field(default_factory=list)
    bases: dict[str, int] = field(default_factory=dict)
    """By appended list: what is added to the numbers of its rows."""
    chunks: list[list[Recipient]] = field(default_factory=list)
    index: set[tuple[str, int | None]] = field(default_factory=set)
    files: dict[str, bytes] = field(default_factory=dict)
    runs: "dict[str, list[LeftOut]]" = field(default_factory=dict)
    own: LeftOutRows = field(default_factory=LeftOutRows)
    added: LeftOutRows = field(default_factory=LeftOutRows)
    events: list[tuple[Entry, Event]] = field(default_factory=list)
    """Everything that happened, in its order."""
    counts: Counter[str] = field(default_factory=Counter)

    def everybody(self) -> Iterator[Recipient]:
        """All recipients, in the order of their rows."""
        return (recipient for chunk in self.chunks for recipient in chunk)

    def move(self, recipient: Recipient, letter: str, *, due_ms: int | None = None, token: str = "") -> None:
        """Bring a recipient into another state."""
        entry = recipient.entry
        self.counts[STATES[entry.letter]] -= 1
        self.counts[STATES[letter]] += 1
        entry.letter, entry.due_ms, recipient.token = letter, due_ms, token

    def write(self, recipient: Recipient, event: Event) -> None:
        """Add to a recipient's history."""
        recipient.entry.events.append(event)
        self.events.append((recipient.entry, event))

    def settle(self, now_ms: int) -> None:
        """Finish a campaign that has nothing left to do. What was cancelled is over when the last in flight is."""
        if self.totals.open:
            return
        if self.state is CampaignState.RUNNING and self.source_complete and not self.appending:
            self.state, self.finished_ms = CampaignState.FINISHED, now_ms
        elif self.state is CampaignState.CANCELLED and self.finished_ms is None:
            self.finished_ms = now_ms

    @property
    def totals(self) -> Totals:
        """The counts; both identities hold."""
        return Totals.of(
            self.counts,
            invalid=self.own.invalid + self.added.invalid,
            duplicate=self.own.duplicate + self.added.duplicate,
        )

    @property
    def next_due_ms(self) -> int | None:
        """When the first deferred recipient is tried again."""
        due = (recipient.entry.due_ms for recipient in self.everybody())
        return min((ms for ms in due if ms is not None), default=None)

    @property
    def status(self) -> CampaignStatus:
        """Where it stands."""
        return CampaignStatus(
            campaign=self.campaign,
            state=self.state,
            totals=self.totals,
            source_complete=self.source_complete,
            paused_reason=self.paused_reason,
            paused_by=self.paused_by,
            cancelled_reason=self.cancelled_reason,
            started_ms=self.started_ms,
            finished_ms=self.finished_ms,
            next_due_ms=self.next_due_ms if self.counts["deferred"] else None,
            at_ms=self.at_ms,
            chosen=self.chosen,
            appended=frozenset(self.appended),
            appending=self.appending[0] if self.appending else None,
        )


class Books:
    """All campaigns, the do-not-send list, and a clock that can be put forward. Threads share it, one at a time."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.campaigns: dict[str, Book] = {}
        """By id, the latest last."""
        self.suppressed: set[str] = set()
        """Keys of addresses."""
        self._ahead_ms = 0

    def now_ms(self) -> int:
        """Unix milliseconds."""
        return time.time_ns() // 1_000_000 + self._ahead_ms

    def wait_until(self, ms: int) -> None:
        """Nobody waits in memory: from now on it is that late."""
        self._ahead_ms += max(0, ms - self.now_ms())

    def book(self, campaign_id: str) -> Book:
        """One of the campaigns. Raises `UsageError` E109."""
        if campaign_id not in self.campaigns:
            raise UsageError("E109", f"no campaign {campaign_id!r}", hint="mailer status   lists the ids")
        return self.campaigns[campaign_id]

    def by_key(self, key: str) -> Book | None:
        """The campaign with this idempotency key, if any."""
        return next((book for book in self.campaigns.values() if book.campaign.key == key), None)

    def new_id(self, name: str) -> str:
        """An id that is free."""
        while (campaign_id := f"{name}-{secrets.token_hex(2)}") in self.campaigns:
            pass
        return campaign_id

    def find(self, wanted: str | None) -> str | None:
        """The id by an unambiguous beginning, or the latest. Raises `UsageError` E109 when several begin with it."""
        ids = list(self.campaigns)
        if wanted is None or wanted in ids:
            return wanted or (ids[-1] if ids else None)
        matching = [campaign_id for campaign_id in ids if campaign_id.startswith(wanted)]
        if len(matching) > 1:
            raise UsageError("E109", f"{wanted!r} is the beginning of {len(matching)} ids", why=", ".join(matching[:5]))
        return matching[0] if matching else None

    def is_suppressed(self, email: str) -> bool:
        """True for an address on the do-not-send list."""
        return key_of(email) in self.suppressed
