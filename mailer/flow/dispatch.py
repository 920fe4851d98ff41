"""Dispatch: one message over one session, what came of it for each recipient, and what that means for others."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import structlog

from mailer.flow.attaching import Attaching, FileMissingError
from mailer.flow.copies import Copies, Marks, accepted_before
from mailer.flow.run import Run
from mailer.interfaces.session import Session
from mailer.policy.attachment_marks import has_marks
from mailer.policy.breaker import ContentBreaker
from mailer.policy.judging import Judgement, judge
from mailer.vocabulary.campaign import PausedBy
from mailer.vocabulary.chunk import Attempt, Claimed
from mailer.vocabulary.envelope import Envelope, MailData, MailObject
from mailer.vocabulary.outcome import Class, Outcome
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.recipient import State
from mailer.vocabulary.transmission import Answer, Answered, Interrupted, Transmission, Withheld
from mailer.vocabulary.verdict import Connection, Move

if TYPE_CHECKING:
    from mailer.interfaces.ledger import DeliveryLedger

# Bound once: to look up the member of an enum takes Python 3.11 as long as a call, and every message asks for these.
ACCEPTED, QUEUED = Move.ACCEPTED, State.QUEUED

WITHOUT_FILE_S = 1.0
"""How long a chunk rests when the ledger does not give out a file just now."""

log = structlog.get_logger("mailer.delivery")


class Letter(NamedTuple):
    """A message that is ready to go, and its recipients."""

    copies: Copies
    mail: MailObject


class Dispatch:
    """What a worker process does with one message, and all it does to the record of a recipient."""

    def __init__(self, ledger: "DeliveryLedger", worker: str) -> None:
        self._ledger = ledger
        self._worker = worker
        self._attaching = Attaching(ledger)
        self._content: dict[str, ContentBreaker] = {}  # of campaigns with a refusal among their last messages
        self._is_telling = log.bind().is_enabled_for(logging.INFO)
        self.counts: Counter[str] = Counter()

    async def next(self, run: Run) -> Letter | None:
        """The next message to send; None when there is none, or the run is over."""
        while (copies := run.next()) is not None:
            if (letter := await self.prepared(run, copies)) is not None:
                return letter
        return None

    async def prepared(self, run: Run, copies: Copies) -> Letter | None:
        """The message as it goes out; None when there is none to send, and then that is on record."""
        try:
            data = self._ledger.mail_data(run.claim, copies[0])
        except ValueError as error:
            self._fail(run, copies, "damaged", error)
            return None
        if has_marks(data):
            filled = await self._fill(run, copies, data)
            if filled is None:
                return None
            data = filled
        envelope = Envelope(run.campaign.reverse_path, tuple([recipient.email for recipient in copies]))
        return Letter(copies, MailObject(envelope, data))

    async def send(self, run: Run, session: Session, letter: Letter, following: Letter | None = None) -> None:
        """One transaction. Whoever is to be tried again at once is put back in front; only cancellation raises.

        `following` is what is sent next over this session, if anything is.
        """
        copies, mail = letter
        marks = Marks(self._ledger, run.claim, copies)
        cuts = run.route.room.congestion.cuts
        begun_ms = run.now_ms()
        try:
            transmission = await session.transmit(
                mail.envelope, mail.data, marks.ask, following.mail if following is not None else None
            )
            answers = [transmission.answers[recipient.email] for recipient in copies]
        except asyncio.CancelledError:
            # Stopped by us: that is no second cut.
            run.cut_before.difference_update(recipient.index for recipient in copies)
            self._break_off(run, copies, _stopped(session, "the worker was stopped"), begun_ms)
            raise
        except Exception as error:
            # A bug of ours: nobody may guess that the message was not sent.
            log.exception("transmission failed", campaign=run.campaign.id, chunk=run.claim.chunk)
            run.cut_before.update(recipient.index for recipient in copies)
            ends = self._break_off(run, copies, _stopped(session, f"internal error: {type(error).__name__}"), begun_ms)
            await session.close()
            await self._heed(run, ends)
            return
        # On record before anything is awaited: nobody who is stopped now may forget what the server said.
        attempt = self._attempt(run, begun_ms, transmission)
        judgements = [
            _judged(run, recipient, answer, accepted, attempt.ended_ms)
            for recipient, answer, accepted in zip(copies, answers, accepted_before(answers), strict=True)
        ]
        if [judgement for judgement in judgements if judgement.verdict.move is not ACCEPTED]:
            await self._sort_out(
                run, session, marks, attempt, cuts, list(zip(copies, answers, judgements, strict=True))
            )
            return
        for recipient, judgement in zip(copies, judgements, strict=True):
            self._conclude(run, recipient, judgement.outcome, attempt)
        run.route.worked(cuts)
        if run.campaign.id in self._content:
            await self._heed(run, judgements)

    async def _sort_out(
        self,
        run: Run,
        session: Session,
        marks: Marks,
        attempt: Attempt,
        cuts: int,
        judged: Sequence[tuple[Claimed, Answer, Judgement]],
    ) -> None:
        """The ends of a message that not everybody has got."""
        ends, cut, rest, asks_for_less, has_worked, is_over = [], [], [], False, False, False
        for recipient, answer, judgement in judged:
            verdict = judgement.verdict
            asks_for_less |= verdict.slow_down
            is_over |= verdict.connection is Connection.CLOSE
            has_worked |= isinstance(answer, Answered) and not verdict.blames_route
            was_withheld_for_others = isinstance(answer, Withheld) and marks.are_refused_to_some
            if judgement.is_undecided and recipient.index not in run.cut_before:
                cut.append(recipient)
            elif verdict.move is Move.SPLIT or (was_withheld_for_others and recipient.index not in marks.refused):
                rest.append(recipient)
            else:
                self._conclude(run, recipient, judgement.outcome, attempt)
                if not was_withheld_for_others:
                    ends.append(judgement)
        _try_again(run, cut, tuple(rest))
        if asks_for_less:
            run.route.slowed(cuts)
        if is_over:
            await session.close()
        if has_worked:
            run.route.worked(cuts)
        await self._heed(run, ends, was_cut=bool(cut))

    async def _fill(self, run: Run, copies: Copies, data: MailData) -> MailData | None:
        """The message with its files, or None."""
        try:
            return await self._attaching.fill(run.campaign, data)
        except FileMissingError as error:
            self._fail(run, copies, "attachment", error)
        except Exception as error:
            log.warning("waiting for an attached file", cause=str(error) or type(error).__name__)
            run.waiting.appendleft(copies)
            run.stop(rest_s=WITHOUT_FILE_S)
        return None

    def _fail(self, run: Run, copies: Copies, reason: str, error: Exception) -> None:
        """Put on record that there is no message to send."""
        log.error("no message to send", campaign=run.campaign.id, row=copies[0].row, cause=reason, reason=str(error))
        for recipient in copies:
            self.record(run, recipient, _without_message(reason, error))

    def _break_off(self, run: Run, copies: Copies, answer: Answer, begun_ms: int) -> list[Judgement]:
        """Put on record that the transaction ended without anybody's answer."""
        attempt = self._attempt(run, begun_ms, None)
        judgements = [_judged(run, recipient, answer, 0, attempt.ended_ms) for recipient in copies]
        for recipient, judgement in zip(copies, judgements, strict=True):
            self._conclude(run, recipient, judgement.outcome, attempt)
        return judgements

    def _attempt(self, run: Run, begun_ms: int, transmission: Transmission | None) -> Attempt:
        """The facts of an attempt that has just ended; they are the same for all recipients of the message."""
        return Attempt(
            begun_ms=begun_ms,
            ended_ms=run.now_ms(),
            smtp_ms=round(transmission.seconds * 1000) if transmission is not None else None,
            relay=transmission.relay if transmission is not None else None,
            tls=transmission.tls if transmission is not None else None,
            worker=self._worker,
        )

    def _conclude(self, run: Run, recipient: Claimed, outcome: Outcome, attempt: Attempt) -> None:
        """Put the end of one attempt on record."""
        self.record(run, recipient, outcome, attempt)
        if self._is_telling:
            _log_attempt(run, recipient, outcome, attempt)

    def record(self, run: Run, recipient: Claimed, outcome: Outcome, attempt: Attempt | None = None) -> None:
        """Write the end of this run for one recipient."""
        del run.undecided[recipient.index]
        if outcome.state is not QUEUED:
            self.counts[outcome.state] += 1
        self._ledger.record(run.claim, recipient, outcome, attempt)

    async def _heed(self, run: Run, ends: Sequence[Judgement], *, was_cut: bool = False) -> None:
        """What an end means for others: the route rests, the campaign pauses, the content breaker opens."""
        blames_route = was_cut or any(end.verdict.blames_route for end in ends)
        if blames_route and (wait_s := run.route.failed()) > 0:
            run.stop(rest_s=wait_s)
        # A message that is refused is refused once, however many it was to go to.
        for end in ends if len(ends) < 2 else {end.verdict: end for end in ends}.values():
            if end.verdict.pause is not None:
                await self.pause(run, end.verdict.pause, PausedBy.SERVICE)
            elif end.verdict.route_delay is not None:
                run.route.rest(end.verdict.route_delay)
                run.stop(rest_s=end.verdict.route_delay)
            elif end.outcome.state is State.QUEUED:
                run.stop(rest_s=1.0)
            await self._watch_content(run, end)

    async def _watch_content(self, run: Run, end: Judgement) -> None:
        campaign_id = run.campaign.id
        breaker = self._content.pop(campaign_id, None) or ContentBreaker(
            run.campaign.delivery.pause_after_consecutive_failures
        )
        breaker = breaker.after(end.verdict)
        if breaker.is_open:
            words = end.outcome.reply or end.outcome.text
            await self.pause(run, f"the server refuses what is sent, not to whom: {words}", PausedBy.REFUSALS)
        elif breaker.last:
            self._content[campaign_id] = breaker

    async def pause(self, run: Run, reason: str, by: PausedBy) -> None:
        """Stop the campaign on all workers, until a person resumes it."""
        run.stop()
        if await self._ledger.pause(run.campaign.id, reason, by):
            log.error("campaign paused", campaign=run.campaign.id, reason=reason)


def _judged(run: Run, recipient: Claimed, answer: Answer, accepted: int, now_ms: int) -> Judgement:
    return judge(
        answer,
        attempt=recipient.attempts + 1,
        accepted_ms=recipient.accepted_ms,
        now_ms=now_ms,
        settings=run.campaign.delivery,
        jitter=2 * random.random() - 1,  # noqa: S311 (jitter is no secret)
        interrupted_before=recipient.index in run.cut_before,
        protocol_errors_before=recipient.protocol_errors,
        accepted_before=accepted,
    )


def _try_again(run: Run, cut: Sequence[Claimed], rest: Copies) -> None:
    """At once, and uncounted: those whose connection was lost before the body, and those kept out of the transaction.

    Who was cut goes on a new connection, and by himself: whoever makes the server hang up does it to nobody else then.
    The second time it is on record.
    """
    if rest:
        run.waiting.appendleft(rest)
    for recipient in cut:
        run.cut_before.add(recipient.index)
        run.waiting.appendleft((recipient,))


def _without_message(reason: str, error: Exception) -> Outcome:
    return Outcome(
        state=State.FAILED,
        phase=Phase.BUILD,
        failure=Class.LOCAL,
        reason=reason,
        text=str(error),
        counted=False,
    )


def _log_attempt(run: Run, recipient: Claimed, outcome: Outcome, attempt: Attempt) -> None:
    """One line for each recipient and attempt, as Postfix writes it; addresses are shortened."""
    log.info(
        outcome.state,
        campaign=run.campaign.id,
        to=f"{recipient.email[:1]}…@{recipient.email.rpartition('@')[2]}",
        relay=attempt.relay,
        delay=round((attempt.ended_ms - recipient.accepted_ms) / 1000, 2),
        phase=outcome.phase,
        reply=str(outcome.reply) if outcome.reply is not None else outcome.text,
    )


def _stopped(session: Session, cause: str) -> Interrupted:
    return Interrupted(session.phase, cause, session.phase.may_have_delivered)
