"""The reader's side of the ledger in memory, and listening to it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mailer.backends.memory.books import Books
from mailer.backends.redis.reading import record_of
from mailer.vocabulary.event import RecipientEvent
from mailer.vocabulary.phase import Phase

if TYPE_CHECKING:
    from mailer.vocabulary.campaign import Campaign, CampaignStatus
    from mailer.vocabulary.recipient import LeftOut
    from mailer.vocabulary.report import RecipientRecord


class MemoryReading:
    """Implements `interfaces.ledger.ReportLedger`."""

    def __init__(self, books: Books) -> None:
        self._books = books

    async def status(self, campaign_id: str) -> "CampaignStatus":
        """Where the campaign stands."""
        with self._books.lock:
            return self._books.book(campaign_id).status

    async def records(self, campaign: "Campaign") -> "AsyncIterator[RecipientRecord]":
        """Every recipient, ordered by row, as of one moment."""
        with self._books.lock:
            first: dict[int, str] = {}
            entries = [recipient.entry for recipient in self._books.book(campaign.id).everybody()]
            found = [record_of(entry, campaign, first.setdefault(entry.row, entry.email)) for entry in entries]
        for record in found:
            yield record

    async def left_out(self, campaign: "Campaign") -> "AsyncIterator[LeftOut]":
        """The rows that never became recipients; those of appended lists come last."""
        with self._books.lock:
            book = self._books.book(campaign.id)
            found = [*book.own.rows, *book.added.rows]
        for row in found:
            yield row


class MemoryListener:
    """Tells every event of one campaign once, from its beginning, in their order."""

    pause_s = 0.0

    def __init__(self, books: Books, campaign_id: str) -> None:
        self._books = books
        self._campaign_id = campaign_id
        self._told = 0

    async def news(self) -> AsyncIterator[RecipientEvent]:
        """What has happened since the last look."""
        with self._books.lock:
            fresh = self._books.book(self._campaign_id).events[self._told :]
        self._told += len(fresh)
        for entry, event in fresh:
            yield RecipientEvent(
                campaign_id=self._campaign_id,
                row=entry.row,
                email=entry.email,
                state=event.state,
                at=datetime.fromtimestamp(event.at_ms / 1000, UTC),
                code=event.code,
                enhanced_code=event.enhanced_code,
                text=event.text,
                phase=Phase(event.phase) if event.phase else None,
                reason=event.reason,
            )
