"""The producer's side of the ledger in memory."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mailer.backends.memory.books import Book, Books, LeftOutRows, Recipient
from mailer.backends.redis.entries import Entry
from mailer.backends.redis.events import LETTERS, event_of
from mailer.interfaces.ledger import CampaignGoneError
from mailer.policy.addressing import key_of
from mailer.policy.choosing import covers
from mailer.vocabulary.campaign import CampaignState
from mailer.vocabulary.chunk import Attempt
from mailer.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from mailer.interfaces.ledger import Ranges
    from mailer.vocabulary.campaign import Campaign, CampaignStatus
    from mailer.vocabulary.chunk import Draft
    from mailer.vocabulary.recipient import LeftOut


class MemoryIntake:
    """Implements `interfaces.ledger.IntakeLedger`."""

    def __init__(self, books: Books) -> None:
        self._books = books

    async def open(self, proposal: "Campaign", *, append: bool = False) -> "Campaign":
        """Create the campaign unless its key is known; return the one that stands. Raises `UsageError` E205."""
        with self._books.lock:
            if (book := self._books.by_key(proposal.key)) is None:
                campaign = replace(proposal, id=self._books.new_id(proposal.name))
                self._books.campaigns[campaign.id] = Book(campaign)
                return campaign
        if book.campaign.fingerprint != proposal.fingerprint and not append:
            raise UsageError(
                "E205",
                f"the key {proposal.key!r} belongs to {book.campaign.id}, which has other content",
                hint="give the new content another key, or append its recipients to this one",
                safe=f"Nothing was added and nothing was sent; {book.campaign.id} is as it was.",
            )
        return book.campaign

    async def status(self, campaign_id: str) -> "CampaignStatus":
        """Where the campaign stands."""
        with self._books.lock:
            return self._books.book(campaign_id).status

    async def accept(self, campaign: "Campaign", drafts: "Sequence[Draft]") -> frozenset[int]:
        """Store the drafts as one chunk, or nothing when some are there already; their places are returned."""
        names = [(key_of(draft.email), draft.row if draft.by_row else None) for draft in drafts]
        files = {file.digest: file for draft in drafts if draft.outcome is None for file in draft.attached}
        with self._books.lock:
            book = self._there(campaign)
            if present := frozenset(place for place, name in enumerate(names) if name in book.index):
                return present
            if book.state is CampaignState.FINISHED:
                raise _gone(campaign, "brought to its end")
            book.files |= {digest: file.read() for digest, file in files.items() if digest not in book.files}
            book.index.update(names)
            now_ms = self._books.now_ms()
            chunk = [
                Recipient(Entry(index, draft.row, draft.email, LETTERS[draft.state], 0, 0, now_ms), draft.content)
                for index, draft in enumerate(drafts)
            ]
            book.chunks.append(chunk)
            book.counts.update(draft.state for draft in drafts)
            for recipient, draft in zip(chunk, drafts, strict=True):
                if draft.outcome is not None:
                    nobody = Attempt(begun_ms=now_ms, ended_ms=now_ms)
                    book.write(recipient, event_of(recipient.entry.index, draft.outcome, nobody))
        return frozenset()

    async def leave_out(self, campaign: "Campaign", run: str, rows: "Sequence[LeftOut]") -> None:
        """Keep rows that never become recipients, until this run seals the campaign."""
        with self._books.lock:
            self._there(campaign).runs.setdefault(run, []).extend(rows)

    async def seal(
        self,
        campaign: "Campaign",
        run: str,
        *,
        invalid: int,
        duplicate: int,
        complete: bool,
        chosen: "Ranges | None" = None,
        at_ms: int | None = None,
    ) -> bool:
        """The source was read to the end: the draft runs, or waits for its time. False when it was sealed before."""
        with self._books.lock:
            book, now_ms = self._there(campaign), self._books.now_ms()
            if book.state is not CampaignState.DRAFT:
                return False
            is_early = at_ms is not None and at_ms > now_ms
            book.state = CampaignState.SCHEDULED if is_early else CampaignState.RUNNING
            book.at_ms, book.source_complete, book.chosen = at_ms if is_early else None, complete, chosen
            book.own = LeftOutRows(book.runs.get(run, []), invalid, duplicate)
            book.settle(now_ms)
            return True

    async def reopen(self, campaign: "Campaign", *, appending: str | None = None, after: int = 0) -> int:
        """More recipients are to come. Raises `UsageError` E114 when it was cancelled."""
        with self._books.lock:
            book = self._there(campaign)
            if book.state is CampaignState.CANCELLED:
                raise UsageError("E114", f"{campaign.id} is cancelled: it takes no more recipients")
            base = book.bases.setdefault(appending, after) if appending is not None else 0
            if appending is None:
                book.source_complete = False
            elif appending in book.appended:
                return base
            elif appending not in book.appending:
                book.appending.append(appending)
            if book.state is CampaignState.FINISHED:
                book.state, book.finished_ms = CampaignState.RUNNING, None
            return base

    async def complete(
        self,
        campaign: "Campaign",
        run: str,
        *,
        invalid: int,
        duplicate: int,
        chosen: "Ranges | None" = None,
        appended: str | None = None,
    ) -> None:
        """All that was to come is stored. May be said twice, and by two producers."""
        with self._books.lock:
            book = self._there(campaign)
            rows = book.runs.get(run, [])
            if appended is None and (not book.source_complete or _has_more(chosen, book.chosen)):
                book.source_complete, book.chosen = True, chosen
                book.own = LeftOutRows(rows, invalid, duplicate)
            if appended is not None:
                book.appending = [other for other in book.appending if other != appended]
                if appended not in book.appended:
                    book.appended.append(appended)
                    added = book.added
                    book.added = LeftOutRows(added.rows + rows, added.invalid + invalid, added.duplicate + duplicate)
            book.settle(self._books.now_ms())

    async def members(self, campaign_id: str, addresses: Sequence[str]) -> frozenset[str]:
        """Those of the addresses that are recipients of a campaign. Raises `UsageError` E109 when there is none."""
        with self._books.lock:
            keys = {key for key, _ in self._books.book(campaign_id).index}
        return frozenset(address for address in addresses if key_of(address) in keys)

    async def drop(self, campaign: "Campaign") -> None:
        """Remove a draft and everything stored for it; a sealed campaign is left alone."""
        with self._books.lock:
            book = self._books.campaigns.get(campaign.id)
            if book is not None and book.state is CampaignState.DRAFT:
                del self._books.campaigns[campaign.id]

    async def queued_bytes(self, campaign: "Campaign") -> int:
        """Payload bytes of recipients that are not final."""
        with self._books.lock:
            everybody = self._there(campaign).everybody()
            return sum(len(recipient.content) for recipient in everybody if not recipient.entry.is_final)

    async def suppressed(self, addresses: Sequence[str]) -> frozenset[str]:
        """Those of the addresses that are on the do-not-send list."""
        with self._books.lock:
            return frozenset(address for address in addresses if self._books.is_suppressed(address))

    def _there(self, campaign: "Campaign") -> Book:
        if (book := self._books.campaigns.get(campaign.id)) is None:
            raise _gone(campaign, "dropped")
        return book


def _has_more(new: "Ranges | None", old: "Ranges | None") -> bool:
    return new != old and covers(new, old)


def _gone(campaign: "Campaign", how: str) -> CampaignGoneError:
    return CampaignGoneError(
        "E109", f"{campaign.id} was {how} by another producer", hint="run it again", retryable=True
    )
