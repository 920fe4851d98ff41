"""The worker's side of the ledger in memory: claims, marks, outcomes."""

import secrets
from typing import TYPE_CHECKING

from mailer.backends.memory.books import Books, Recipient
from mailer.backends.redis.events import LETTERS, OPERATOR, Event, event_of
from mailer.policy.addressing import key_of
from mailer.policy.dot_stuffing import dot_stuff
from mailer.policy.doubt import RESENT, RESENT_TEXT, is_sent_again
from mailer.vocabulary.campaign import CampaignState, PausedBy
from mailer.vocabulary.chunk import Attempt, Claim, Claimed
from mailer.vocabulary.envelope import MailData
from mailer.vocabulary.outcome import Class, Outcome
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.recipient import State
from mailer.vocabulary.reply import Reply

if TYPE_CHECKING:
    from mailer.vocabulary.campaign import Campaign


class MemoryDelivery:
    """Implements `interfaces.ledger.DeliveryLedger`. Nobody looks after its workers: they live as long as it does."""

    def __init__(self, books: Books) -> None:
        self._books = books

    async def campaign(self, campaign_id: str) -> "Campaign":
        """What was accepted."""
        with self._books.lock:
            return self._books.book(campaign_id).campaign

    async def claim(self, campaign: "Campaign", chunk: int) -> Claim:
        """Take the recipients of a chunk that are queued or due."""
        token = secrets.token_hex(4)
        with self._books.lock:
            book, now_ms = self._books.book(campaign.id), self._books.now_ms()
            taken: list[Claimed] = []
            if book.state is CampaignState.RUNNING and chunk < len(book.chunks):
                for recipient in book.chunks[chunk]:
                    if is_due(recipient, now_ms):
                        book.move(recipient, LETTERS[State.CLAIMED], token=token)
                        taken.append(_claimed(recipient))
            if taken and book.started_ms is None:
                book.started_ms = now_ms
            return Claim(
                campaign_id=campaign.id,
                chunk=chunk,
                token=token,
                recipients=tuple(taken),
                suppressed=frozenset(each.email for each in taken if self._books.is_suppressed(each.email)),
                redis_ms=now_ms,
            )

    def mail_data(self, claim: Claim, recipient: Claimed) -> MailData:
        """The message, as it was accepted."""
        return dot_stuff(recipient.frame)

    async def attachment(self, campaign: "Campaign", digest: str) -> bytes:
        """The content of an attached file. Raises LookupError when it is not there."""
        with self._books.lock:
            return self._books.book(campaign.id).files[digest]

    async def mark(self, claim: Claim, recipient: Claimed) -> bool:
        """Ask for the `sending` mark."""
        with self._books.lock:
            return self._mark(claim, recipient)

    def _mark(self, claim: Claim, recipient: Claimed) -> bool:
        book = self._books.book(claim.campaign_id)
        held = book.chunks[claim.chunk][recipient.index]
        if held.token != claim.token or held.entry.letter not in "cg":
            return False
        if held.entry.letter == "c":
            if book.state is not CampaignState.RUNNING or self._books.is_suppressed(recipient.email):
                return False
            book.move(held, LETTERS[State.SENDING], token=claim.token)
        return True

    def record(self, claim: Claim, recipient: Claimed, outcome: Outcome, attempt: Attempt | None = None) -> None:
        """Write an outcome."""
        facts = attempt or Attempt(begun_ms=claim.redis_ms, ended_ms=claim.redis_ms)
        with self._books.lock:
            book = self._books.book(claim.campaign_id)
            held = book.chunks[claim.chunk][recipient.index]
            if held.token != claim.token or held.entry.letter not in "cg":
                return
            letter = LETTERS[outcome.state]
            held.entry.attempts += outcome.counted and outcome.state is not State.QUEUED
            if outcome.state is not State.QUEUED or outcome.reply is not None or outcome.reason is not None:
                book.write(held, event_of(recipient.index, outcome, facts))
            is_cancelled = book.state is CampaignState.CANCELLED
            reasons = [event.reason for event in held.entry.since_operator]
            if outcome.state is State.IN_DOUBT and is_sent_again(
                book.campaign.delivery.on_doubt, reasons, is_cancelled=is_cancelled
            ):
                letter = LETTERS[State.QUEUED]
                book.write(held, sent_again(held, self._books.now_ms()))
            elif is_cancelled and not outcome.state.is_final:
                letter = LETTERS[State.CANCELLED]
                book.write(held, cancelled(held, self._books.now_ms(), book.cancelled_reason))
            token = claim.token if outcome.state.is_final and letter != LETTERS[State.QUEUED] else ""
            book.move(held, letter, due_ms=outcome.due_ms if letter == "d" else None, token=token)
            if outcome.suppress:
                self._books.suppressed.add(key_of(recipient.email))
            book.settle(self._books.now_ms())

    async def end_run(self, claim: Claim, *, rest_s: float = 0.0) -> None:
        """Everything is in the books already."""

    async def postpone(self, campaign: "Campaign", chunk: int, rest_s: float) -> None:
        """Nobody waits in memory."""

    async def pause(self, campaign_id: str, reason: str, by: PausedBy) -> bool:
        """Stop a running campaign. False when it was not running."""
        with self._books.lock:
            book = self._books.book(campaign_id)
            if book.state is not CampaignState.RUNNING:
                return False
            book.state, book.paused_reason, book.paused_by = CampaignState.PAUSED, reason, by
            return True


def is_due(recipient: Recipient, now_ms: int) -> bool:
    """True for a recipient that may be claimed."""
    entry = recipient.entry
    return entry.letter == "q" or (entry.letter == "d" and (entry.due_ms or 0) <= now_ms)


def cancelled(recipient: Recipient, now_ms: int, reason: str | None) -> Event:
    """What the operator's `cancel` leaves in the history of whoever was waiting."""
    text = f"operator: cancel: {reason}" if reason else "operator: cancel"
    return Event(recipient.entry.index, "X", now_ms, OPERATOR, text, None, Class.LOCAL)


def sent_again(recipient: Recipient, now_ms: int) -> Event:
    """What the in-doubt policy leaves in the history of whoever is sent to again."""
    return Event(recipient.entry.index, "q", now_ms, RESENT, RESENT_TEXT, None, Class.UNKNOWN)


def _claimed(recipient: Recipient) -> Claimed:
    entry, last = recipient.entry, recipient.entry.decisive
    since = entry.since_operator
    return Claimed(
        index=entry.index,
        row=entry.row,
        email=entry.email,
        key=key_of(entry.email),
        frame=recipient.content,
        attempts=entry.attempts,
        crashes=entry.crashes,
        was_deferred=any(event.letter == "d" for event in since),
        accepted_ms=entry.accepted_ms,
        protocol_errors=sum(event.reason == "protocol" for event in since),
        last=_outcome(last) if last is not None else None,
    )


def _outcome(event: Event) -> Outcome:
    reply = Reply(event.code, event.enhanced_code, event.text or "") if event.code is not None else None
    return Outcome(
        state=event.state,
        phase=Phase(event.phase) if event.phase else None,
        failure=Class(event.failure) if event.failure else None,
        reason=event.reason,
        reply=reply,
        text=event.text if reply is None else None,
        counted=event.counted,
    )
