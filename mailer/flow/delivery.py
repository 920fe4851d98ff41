"""Delivery: one chunk of a campaign, claimed, sent over borrowed sessions, recorded recipient by recipient."""

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING

import structlog

from mailer.flow.run import Route, RouteOf, Run
from mailer.interfaces.session import Session
from mailer.policy.breaker import ContentBreaker
from mailer.policy.judging import Judgement, judge
from mailer.policy.retry import is_expired
from mailer.vocabulary.campaign import PausedBy
from mailer.vocabulary.chunk import Attempt, Claimed
from mailer.vocabulary.envelope import Envelope
from mailer.vocabulary.errors import MailerError, RelayError
from mailer.vocabulary.outcome import Class, Outcome
from mailer.vocabulary.recipient import State
from mailer.vocabulary.transmission import Answer, Answered, Interrupted, Transmission
from mailer.vocabulary.verdict import Connection, Reason

if TYPE_CHECKING:
    from mailer.interfaces.ledger import DeliveryLedger
    from mailer.vocabulary.campaign import Campaign

WITHOUT_SECRET_S = 30.0
"""How long a campaign rests whose route this worker cannot use (no password)."""

log = structlog.get_logger("mailer.delivery")


class Delivery:
    """What a worker process does with a chunk. Its ledger keeps trying to record whatever happens."""

    def __init__(self, ledger: "DeliveryLedger", route_of: RouteOf, worker: str) -> None:
        self._ledger = ledger
        self._route_of = route_of
        self._worker = worker
        self._content: dict[str, ContentBreaker] = {}
        self._draining = False
        self._runs: set[Run] = set()
        self.counts: Counter[str] = Counter()

    def drain(self) -> None:
        """Finish the messages in flight, begin no others, give the rest back."""
        self._draining = True
        for run in self._runs:
            run.stop()

    async def work(self, campaign_id: str, chunk: int) -> None:
        """Send what is queued or due in this chunk. Every end is recorded; only cancellation raises."""
        if self._draining:
            return
        campaign = (await self._ledger.status(campaign_id)).campaign
        try:
            route = self._route_of(campaign)
        except MailerError as error:
            log.error("campaign rests", campaign=campaign_id, code=error.code, reason=error.message)
            await self._ledger.postpone(campaign, chunk, WITHOUT_SECRET_S)
            return
        if (wait_s := route.wait()) > 0:
            await self._ledger.postpone(campaign, chunk, wait_s)
            return
        with route.attempt():
            await self._run(campaign, chunk, route)

    async def _run(self, campaign: "Campaign", chunk: int, route: Route) -> None:
        claim = await self._ledger.claim(campaign, chunk)
        run = Run(campaign, claim, route, {recipient.index: recipient for recipient in claim.recipients})
        self._runs.add(run)
        if self._draining:
            run.stop()
        try:
            self._look_before(run)
            await self._send(run)
        finally:
            self._runs.discard(run)
            for recipient in list(run.undecided.values()):
                self._record(run, recipient, Outcome(state=State.QUEUED, counted=False))
            await self._ledger.end_run(claim, rest_s=run.rest_s)

    def _look_before(self, run: Run) -> None:
        """Sort out who is not to be tried: suppressed meanwhile, or too old."""
        delivery = run.campaign.delivery
        for recipient in run.claim.recipients:
            age_s = (run.claim.redis_ms - recipient.accepted_ms) / 1000
            if recipient.email in run.claim.suppressed:
                self._record(run, recipient, _SUPPRESSED)
            elif recipient.was_deferred and is_expired(0, age_s, max_attempts=1, max_age=delivery.max_age):
                self._record(run, recipient, _expired(recipient.last))
            else:
                run.waiting.append(recipient)

    async def _send(self, run: Run) -> None:
        lanes = min(run.route.connections, len(run.waiting))
        async with asyncio.TaskGroup() as group:
            for _ in range(lanes):
                group.create_task(self._lane(run))

    async def _lane(self, run: Run) -> None:
        """Take one recipient after the other, as long as there are any, over borrowed sessions."""
        while (recipient := run.next()) is not None:
            try:
                async with run.route.pool.session() as session:
                    # The wait for it may have been long.
                    while recipient is not None and not run.is_over:
                        await self._transmit(run, session, recipient)
                        recipient = run.next() if session.is_reusable else None
            except RelayError as error:
                if recipient is not None:
                    run.waiting.appendleft(recipient)
                await self._no_session(run, error)

    async def _no_session(self, run: Run, error: RelayError) -> None:
        """No session can be had: that is the route's trouble and burns nobody."""
        if not error.retryable:
            await self._pause(run, f"{error.code} {error.message}", PausedBy.SERVICE)
            return
        wait_s = max(1.0, run.route.failed())
        log.warning("waiting for the server", code=error.code, reason=error.message, seconds=round(wait_s, 1))
        run.stop(rest_s=wait_s)

    async def _transmit(self, run: Run, session: Session, recipient: Claimed) -> None:
        campaign = run.campaign
        envelope = Envelope(campaign.reverse_path, (recipient.email,))
        permit = self._ledger.permit(run.claim, (recipient,))
        begun_ms = run.now_ms()
        try:
            transmission = await session.transmit(envelope, recipient.content, permit)
            answer = transmission.answers[recipient.email]
        except asyncio.CancelledError:
            # Stopped by us: that is no second cut.
            run.cut_before.discard(recipient.index)
            judgement = self._judge(run, recipient, _stopped(session, "the worker was stopped"))
            self._conclude(run, recipient, judgement, begun_ms, None)
            raise
        except Exception as error:
            # A bug of ours: nobody may guess that the message was not sent.
            log.exception("transmission failed", campaign=campaign.id, chunk=run.claim.chunk)
            run.cut_before.add(recipient.index)
            judgement = self._judge(run, recipient, _stopped(session, f"internal error: {type(error).__name__}"))
            self._conclude(run, recipient, judgement, begun_ms, None)
            await session.close()
            await self._heed(run, judgement)
            return
        judgement = self._judge(run, recipient, answer)
        once_more = judgement.is_undecided and recipient.index not in run.cut_before
        # On record before anything is awaited: nobody who is stopped now may forget what the server said.
        if once_more:
            # Lost before the body: at once again on a new connection, uncounted. The second time it is on record.
            run.cut_before.add(recipient.index)
            run.waiting.appendleft(recipient)
        else:
            self._conclude(run, recipient, judgement, begun_ms, transmission)
        if judgement.verdict.connection is Connection.CLOSE:
            await session.close()
        if isinstance(answer, Answered) and not judgement.verdict.blames_route:
            run.route.breaker = run.route.breaker.succeeded()
        if not once_more:
            await self._heed(run, judgement)
        elif (wait_s := run.route.failed()) > 0:
            run.stop(rest_s=wait_s)

    def _judge(self, run: Run, recipient: Claimed, answer: Answer) -> Judgement:
        return judge(
            answer,
            attempt=recipient.attempts + 1,
            accepted_ms=recipient.accepted_ms,
            now_ms=run.now_ms(),
            settings=run.campaign.delivery,
            jitter=random.uniform(-1, 1),  # noqa: S311 (jitter)
            interrupted_before=recipient.index in run.cut_before,
            protocol_errors_before=recipient.protocol_errors,
            accepted_before=0,
        )

    def _conclude(
        self, run: Run, recipient: Claimed, judgement: Judgement, begun_ms: int, transmission: Transmission | None
    ) -> None:
        """Put the end of one attempt on record."""
        attempt = Attempt(
            begun_ms=begun_ms,
            ended_ms=run.now_ms(),
            smtp_ms=round(transmission.seconds * 1000) if transmission is not None else None,
            relay=transmission.relay if transmission is not None else None,
            tls=transmission.tls if transmission is not None else None,
            worker=self._worker,
        )
        self._record(run, recipient, judgement.outcome, attempt)
        _log_attempt(run, recipient, judgement.outcome, attempt)

    async def _heed(self, run: Run, judgement: Judgement) -> None:
        """What an end means for others: the route rests, the campaign pauses, the content breaker opens."""
        verdict = judgement.verdict
        if verdict.blames_route and (wait_s := run.route.failed()) > 0:
            run.stop(rest_s=wait_s)
        if verdict.pause is not None:
            await self._pause(run, verdict.pause, PausedBy.SERVICE)
        elif verdict.route_delay is not None:
            run.route.rest(verdict.route_delay)
            run.stop(rest_s=verdict.route_delay)
        elif judgement.outcome.state is State.QUEUED:
            run.stop(rest_s=1.0)
        campaign_id = run.campaign.id
        breaker = self._content.get(campaign_id) or ContentBreaker(
            run.campaign.delivery.pause_after_consecutive_failures
        )
        self._content[campaign_id] = breaker = breaker.after(verdict)
        if breaker.is_open:
            del self._content[campaign_id]
            words = judgement.outcome.reply or judgement.outcome.text
            await self._pause(run, f"the server refuses what is sent, not to whom: {words}", PausedBy.REFUSALS)

    async def _pause(self, run: Run, reason: str, by: PausedBy) -> None:
        run.stop()
        if await self._ledger.pause(run.campaign.id, reason, by):
            log.error("campaign paused", campaign=run.campaign.id, reason=reason)

    def _record(self, run: Run, recipient: Claimed, outcome: Outcome, attempt: Attempt | None = None) -> None:
        del run.undecided[recipient.index]
        if outcome.state is not State.QUEUED:
            self.counts[outcome.state] += 1
        self._ledger.record(run.claim, recipient, outcome, attempt)


_SUPPRESSED = Outcome(
    state=State.SUPPRESSED, failure=Class.LOCAL, reason="suppressed", text="on the do-not-send list", counted=False
)


def _expired(last: Outcome | None) -> Outcome:
    """Too old to try again; the last reply stays."""
    return Outcome(
        state=State.FAILED,
        phase=last.phase if last else None,
        failure=Class.TEMPORARY,
        reason=Reason.EXPIRED,
        reply=last.reply if last else None,
        text=last.text if last else None,
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
