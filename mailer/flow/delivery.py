"""Delivery: one chunk of a campaign, claimed, sent over borrowed sessions, recorded recipient by recipient."""

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING

import structlog

from mailer.flow.copies import Copies, in_copies
from mailer.flow.dispatch import Dispatch
from mailer.flow.pacing import Pacing, Places
from mailer.flow.run import Route, RouteOf, Run
from mailer.interfaces.session import Session
from mailer.policy.retry import is_expired
from mailer.vocabulary.campaign import PausedBy
from mailer.vocabulary.errors import MailerError, RelayError
from mailer.vocabulary.outcome import Class, Outcome
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.recipient import State
from mailer.vocabulary.verdict import Reason

if TYPE_CHECKING:
    from mailer.interfaces.ledger import DeliveryLedger
    from mailer.interfaces.limiter import Limiter
    from mailer.vocabulary.campaign import Campaign

WITHOUT_SECRET_S = 30.0
"""How long a campaign rests whose route this worker cannot use (no password)."""

log = structlog.get_logger("mailer.delivery")


class Delivery:
    """What a worker process does with a chunk. Its ledger keeps trying to record whatever happens."""

    def __init__(self, ledger: "DeliveryLedger", route_of: RouteOf, worker: str, limiter: "Limiter") -> None:
        self._ledger = ledger
        self._route_of = route_of
        self._pacing = Pacing(limiter)
        self._dispatch = Dispatch(ledger, worker)
        self._draining = False
        self._runs: set[Run] = set()

    @property
    def counts(self) -> Counter[str]:
        """Outcomes of this process by state; a recipient tried twice counts twice."""
        return self._dispatch.counts

    def drain(self) -> None:
        """Finish the messages in flight, begin no others, give the rest back."""
        self._draining = True
        for run in self._runs:
            run.stop()

    async def work(self, campaign_id: str, chunk: int) -> None:
        """Send what is queued or due in this chunk. Every end is recorded; only cancellation raises."""
        if self._draining:
            return
        campaign = await self._ledger.campaign(campaign_id)
        try:
            route = self._route_of(campaign)
        except MailerError as error:
            log.error("campaign rests", campaign=campaign_id, code=error.code, reason=error.message)
            await self._ledger.postpone(campaign, chunk, WITHOUT_SECRET_S)
            return
        places = self._pacing.places(campaign, route)
        wait_s = route.wait() or (await places.wait_s() if places is not None else 0.0)
        if wait_s > 0:
            await self._ledger.postpone(campaign, chunk, wait_s)
            return
        with route.attempt():
            await self._run(campaign, chunk, route, places)

    async def _run(self, campaign: "Campaign", chunk: int, route: Route, places: Places | None) -> None:
        before = route.breaker
        claim = await self._ledger.claim(campaign, chunk)
        run = Run(campaign, claim, route, {recipient.index: recipient for recipient in claim.recipients})
        self._runs.add(run)
        if self._draining:
            run.stop()
        elif route.breaker is not before and (wait_s := route.wait()) > 0:
            # Others found out during the claim that it is not to be tried.
            run.stop(rest_s=wait_s)
        try:
            self._look_before(run)
            await self._send(run, places)
        finally:
            self._runs.discard(run)
            for recipient in list(run.undecided.values()):
                self._dispatch.record(run, recipient, Outcome(state=State.QUEUED, counted=False))
            await self._ledger.end_run(claim, rest_s=run.rest_s)

    def _look_before(self, run: Run) -> None:
        """Sort out who is not to be tried: suppressed meanwhile, or too old."""
        delivery = run.campaign.delivery
        wanted = []
        for recipient in run.claim.recipients:
            age_s = (run.claim.redis_ms - recipient.accepted_ms) / 1000
            if recipient.email in run.claim.suppressed:
                self._dispatch.record(run, recipient, _SUPPRESSED)
            elif recipient.was_deferred and is_expired(0, age_s, max_attempts=1, max_age=delivery.max_age):
                self._dispatch.record(run, recipient, _expired(recipient.last))
            else:
                wanted.append(recipient)
        run.waiting.extend(in_copies(wanted))

    async def _send(self, run: Run, places: Places | None) -> None:
        lanes = min(run.route.connections, len(run.waiting))
        async with asyncio.TaskGroup() as group:
            for _ in range(lanes):
                group.create_task(self._lane(run) if places is None else self._paced_lane(run, places))
        if places is not None and not run.is_over and (rest_s := places.rest_s(run)) > 0:
            run.stop(rest_s=rest_s)

    async def _lane(self, run: Run) -> None:
        """Take one message after the other, as long as there are any, over borrowed sessions."""
        room, campaign = run.route.room, run.campaign.id
        while run.waiting and not run.is_over and (room.enter(campaign) or await room.wait(campaign, run)):
            try:
                if (copies := run.next()) is None:
                    break
                await self._borrow(run, copies)
            finally:
                room.leave(campaign)
        # Whoever waits for room has nothing left to do either.
        room.let_go(run)

    async def _borrow(self, run: Run, copies: Copies) -> None:
        """Send this message and those after it over one session."""
        room = run.route.room
        cuts = room.congestion.cuts
        try:
            async with run.route.pool.session(run.campaign.id) as session:
                # The wait for it may have been long.
                if room.is_short:
                    run.waiting.appendleft(copies)
                elif not run.is_over:
                    await self._send_from(run, copies, session)
                if room.is_scarce:
                    await session.close()
        except RelayError as error:
            run.waiting.appendleft(copies)
            await self._no_session(run, error, cuts)

    async def _send_from(self, run: Run, copies: Copies, session: Session) -> None:
        """Send this message and those after it, for as long as the session is good for it and nobody else's turn."""
        room = run.route.room
        since = time.monotonic()
        letter = await self._dispatch.prepared(run, copies) or await self._dispatch.next(run)
        while letter is not None:
            gives_way = run.route.is_wanted(run.campaign.id, since)
            following = await self._dispatch.next(run) if session.looks_ahead and not gives_way else None
            await self._dispatch.send(run, session, letter, following)
            if gives_way or run.is_over or room.is_short or not session.is_reusable:
                if following is not None:
                    run.waiting.appendleft(following.copies)
                return
            letter = following or await self._dispatch.next(run)

    async def _paced_lane(self, run: Run, places: Places) -> None:
        """The same, one message at a time: while it waits for its turn, others have the session."""
        room, campaign = run.route.room, run.campaign.id
        is_in = False
        try:
            while (copies := await places.next(run)) is not None:
                taken_at = time.monotonic()
                is_in = is_in or room.enter(campaign) or (not run.is_over and await room.wait(campaign, run))
                if not is_in:
                    run.waiting.appendleft(copies)
                    return
                if await self._borrow_once(run, copies, places, taken_at):
                    room.leave(campaign)
                    is_in = False
        finally:
            if is_in:
                room.leave(campaign)

    async def _borrow_once(self, run: Run, copies: Copies, places: Places, taken_at: float) -> bool:
        """Send this message over a session. False when its turn had passed: then the next turn finds room at once."""
        room = run.route.room
        cuts = room.congestion.cuts
        is_past = False
        try:
            async with run.route.pool.session(run.campaign.id) as session:
                is_past = places.is_past(copies, taken_at)
                if is_past or room.is_short:
                    # The session goes back to the shelf, and is there at once when the next turn has come.
                    run.waiting.appendleft(copies)
                elif not run.is_over and (letter := await self._dispatch.prepared(run, copies)) is not None:
                    await self._dispatch.send(run, session, letter)
                if room.is_scarce:
                    await session.close()
        except RelayError as error:
            run.waiting.appendleft(copies)
            await self._no_session(run, error, cuts)
        return room.is_short or not is_past

    async def _no_session(self, run: Run, error: RelayError, cuts: int) -> None:
        """No session can be had: that is the route's trouble and burns nobody."""
        if not error.retryable:
            await self._dispatch.pause(run, f"{error.code} {error.message}", PausedBy.SERVICE)
            return
        run.route.room.slowed(cuts)
        wait_s = max(1.0, run.route.failed())
        log.warning(
            "waiting for the server",
            code=error.code,
            reason=error.message,
            seconds=round(wait_s, 1),
            connections=run.route.room.congestion.width,
        )
        self._give_up(run, error)
        run.stop(rest_s=wait_s)

    def _give_up(self, run: Run, error: RelayError) -> None:
        """Whoever could not be tried because the relay was away for all of his time has had it.

        Time in the queue alone expires nobody: a pause, a time to begin at and a rate are no failures.
        """
        max_age = run.campaign.delivery.max_age
        if run.route.down_for() < max_age:
            return
        for copies in list(run.waiting):
            for recipient in copies:
                if run.now_ms() - recipient.accepted_ms >= max_age * 1000:
                    self._dispatch.record(run, recipient, _expired(recipient.last or _unreachable(error)))
        run.waiting.clear()


_SUPPRESSED = Outcome(
    state=State.SUPPRESSED, failure=Class.LOCAL, reason="suppressed", text="on the do-not-send list", counted=False
)


def _unreachable(error: RelayError) -> Outcome:
    """What is told of somebody whom no server ever spoke of."""
    return Outcome(state=State.QUEUED, phase=Phase.CONNECT, text=f"{error.code} {error.message}")


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
