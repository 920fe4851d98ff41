"""The operator's side of the ledger in memory."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mailer.backends.memory.books import Book, Books, Recipient
from mailer.backends.memory.delivery import cancelled
from mailer.backends.redis.events import LETTERS, STATES
from mailer.backends.redis.reopening import act_of
from mailer.policy.addressing import key_of
from mailer.vocabulary.acts import Resolution, Retried
from mailer.vocabulary.campaign import CampaignState, PausedBy
from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.recipient import State

if TYPE_CHECKING:
    from mailer.vocabulary.acts import Selection

_UNDER_WAY = (CampaignState.RUNNING, CampaignState.SCHEDULED, CampaignState.PAUSED)
_RETRIED_IN = (CampaignState.RUNNING, CampaignState.PAUSED, CampaignState.FINISHED)
_STATES = {
    Resolution.SENT: State.SENT,
    Resolution.REFUSED: State.REFUSED,
    Resolution.FAILED: State.FAILED,
    Resolution.RESEND: State.QUEUED,
}


class MemoryControl:
    """Implements `interfaces.ledger.ControlLedger`."""

    def __init__(self, books: Books) -> None:
        self._books = books

    async def pause(self, campaign_id: str, reason: str) -> bool:
        """Stop a campaign that runs or waits. False when it was paused; it has the new reason then."""
        with self._books.lock:
            book = self._in(campaign_id, _UNDER_WAY, "cannot be paused")
            was_paused = book.state is CampaignState.PAUSED
            book.state, book.paused_reason, book.paused_by = CampaignState.PAUSED, reason, PausedBy.OPERATOR
            return not was_paused

    async def resume(self, campaign_id: str) -> bool:
        """Let a paused campaign run, or wait for its time. False when it did already."""
        with self._books.lock:
            book = self._in(campaign_id, _UNDER_WAY, "not paused")
            if book.state is not CampaignState.PAUSED:
                return False
            now_ms = self._books.now_ms()
            book.state = CampaignState.SCHEDULED if (book.at_ms or 0) > now_ms else CampaignState.RUNNING
            book.paused_reason = book.paused_by = None
            book.settle(now_ms)
            return True

    async def cancel(self, campaign_id: str, reason: str) -> int:
        """Cancel whoever is queued or deferred, for good; what is in flight finishes. Returns the number cancelled."""
        with self._books.lock:
            book = self._in(campaign_id, (*_UNDER_WAY, CampaignState.CANCELLED), "cannot be cancelled")
            now_ms = self._books.now_ms()
            if book.state is not CampaignState.CANCELLED:
                book.state, book.cancelled_reason = CampaignState.CANCELLED, reason
                book.paused_reason = book.paused_by = None
            waiting = [recipient for recipient in book.everybody() if recipient.entry.letter in "qd"]
            for recipient in waiting:
                book.write(recipient, cancelled(recipient, now_ms, book.cancelled_reason))
                book.move(recipient, LETTERS[State.CANCELLED])
            book.settle(now_ms)
            return len(waiting)

    async def count(self, campaign_id: str, selection: "Selection") -> Retried:
        """What `retry` would do."""
        with self._books.lock:
            return self._retry(campaign_id, selection, lambda book, recipient: None)

    async def retry(self, campaign_id: str, selection: "Selection") -> Retried:
        """Queue the selected recipients again; a finished campaign is running again."""
        with self._books.lock:
            return self._retry(campaign_id, selection, lambda book, recipient: self._queue(book, recipient, "retry"))

    def _retry(self, campaign_id: str, selection: "Selection", queue: Callable[[Book, Recipient], None]) -> Retried:
        book = self._in(campaign_id, _RETRIED_IN, "nobody can be queued again")
        taken = unbuilt = suppressed = 0
        for recipient in book.everybody():
            entry = recipient.entry
            code = entry.decisive.code if entry.decisive is not None else None
            if taken == selection.limit or not selection.wants(STATES[entry.letter], code, entry.email):
                continue
            if not recipient.content:
                unbuilt += 1
            elif self._books.is_suppressed(entry.email):
                suppressed += 1
            else:
                taken += 1
                queue(book, recipient)
        return Retried(recipients=taken, without_message=unbuilt, suppressed=suppressed)

    async def resolve(self, campaign_id: str, addresses: Sequence[str], resolution: Resolution) -> int:
        """Settle recipients in doubt; all of them must be, or nothing is changed. Returns the number that moved."""
        keys = {key_of(address) for address in addresses}
        into = _STATES[resolution]
        with self._books.lock:
            book = self._books.book(campaign_id)
            meant = [recipient for recipient in book.everybody() if key_of(recipient.entry.email) in keys]
            if unknown := keys - {key_of(recipient.entry.email) for recipient in meant}:
                raise UsageError("E119", f"{campaign_id} has no recipient {', '.join(sorted(unknown))}")
            for recipient in meant:
                state = STATES[recipient.entry.letter]
                is_there = state is into or (into is State.QUEUED and not state.is_final)
                is_listed = into is State.QUEUED and self._books.is_suppressed(recipient.entry.email)
                if is_listed or not (state is State.IN_DOUBT or is_there):
                    what = "is on the do-not-send list" if is_listed else f"is {state}, not in doubt"
                    raise UsageError("E114", f"{recipient.entry.email} {what}", safe="Nothing was changed.")
            moving = [recipient for recipient in meant if recipient.entry.letter == LETTERS[State.IN_DOUBT]]
            for recipient in moving:
                if into is State.QUEUED:
                    self._queue(book, recipient, "resend")
                else:
                    text, now_ms = f"operator: resolved as {resolution}", self._books.now_ms()
                    book.write(recipient, act_of(recipient.entry, LETTERS[into], text, now_ms))
                    book.move(recipient, LETTERS[into])
            return len(moving)

    def _queue(self, book: Book, recipient: Recipient, act: str) -> None:
        book.write(recipient, act_of(recipient.entry, "q", f"operator: {act}", self._books.now_ms()))
        book.move(recipient, LETTERS[State.QUEUED])
        if book.state is CampaignState.FINISHED:
            book.state, book.finished_ms = CampaignState.RUNNING, None

    def _in(self, campaign_id: str, states: Sequence[CampaignState], what: str) -> Book:
        book = self._books.book(campaign_id)
        if book.state not in states:
            raise UsageError("E114", f"{campaign_id} is {book.state}: {what}", safe="Nothing was changed.")
        return book
