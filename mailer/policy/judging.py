"""What one attempt means for one recipient."""

from dataclasses import replace

from msgspec import Struct, structs

from mailer.policy.classification import classify
from mailer.policy.reply_table.verdicts import DESYNCHRONISED, failed
from mailer.policy.retry import is_expired, next_due
from mailer.vocabulary.outcome import Class, Outcome
from mailer.vocabulary.phase import Phase, Scope
from mailer.vocabulary.recipient import State
from mailer.vocabulary.settings import DeliverySettings
from mailer.vocabulary.transmission import Answer, Answered, Interrupted, Unsendable, Withheld
from mailer.vocabulary.verdict import Connection, Move, Reason, Verdict

# Bound once: to look up the member of an enum takes Python 3.11 as long as a call, and every message asks for these.
ACCEPTED, DOT = Move.ACCEPTED, Phase.DOT

_CUT_BEFORE_BODY = Verdict(
    move=Move.UNCHANGED,
    scope=Scope.SESSION,
    failure=Class.TEMPORARY,
    reason=Reason.INTERRUPTED,
    counted=False,
    connection=Connection.CLOSE,
)
_CUT_AFTER_BODY = replace(_CUT_BEFORE_BODY, move=Move.IN_DOUBT, failure=Class.UNKNOWN, counted=True)
# Whether an RSET was enough, only the session knows; the route has done nothing wrong.
_WITHHELD = replace(
    _CUT_BEFORE_BODY,
    scope=Scope.RECIPIENT,
    failure=Class.LOCAL,
    reason=Reason.WITHHELD,
    connection=Connection.KEEP,
)
_ABOUT_MESSAGE = (Reason.TOO_BIG, Reason.CONTENT)

_STATES = {
    Move.ACCEPTED: State.SENT,
    Move.REFUSED: State.REFUSED,
    Move.FAILED: State.FAILED,
    Move.DEFERRED: State.DEFERRED,
    Move.UNCHANGED: State.QUEUED,
    Move.SPLIT: State.QUEUED,
    Move.IN_DOUBT: State.IN_DOUBT,
}


class Judgement(Struct, frozen=True, gc=False):
    """`outcome` is for the ledger; `verdict` says what to do about connection, route and campaign."""

    outcome: Outcome
    verdict: Verdict

    @property
    def is_undecided(self) -> bool:
        """True when nothing was decided about the recipient: the next time `interrupted_before` is true."""
        return self.verdict.move is Move.UNCHANGED and self.verdict.scope is Scope.SESSION

    @property
    def is_protocol_error(self) -> bool:
        """True when this counts towards `protocol_errors_before`."""
        return self.verdict.move is Move.DEFERRED and self.verdict.reason is Reason.PROTOCOL


def judge(
    answer: Answer,
    *,
    attempt: int,
    accepted_ms: int,
    now_ms: int,
    settings: DeliverySettings,
    jitter: float,
    interrupted_before: bool,
    protocol_errors_before: int = 0,
    accepted_before: int = 1,
) -> Judgement:
    """Turn the end of one attempt for one recipient into its outcome; never raises.

    Args:
        answer: What the session brought home.
        attempt: The number of this attempt, from 1, counting those that count.
        accepted_ms: When the recipient was accepted into the campaign, ms.
        now_ms: Now, on the same clock.
        settings: Retry delays, maximal age and attempts. Without delays nothing is tried twice.
        jitter: A random number in [-1, 1].
        interrupted_before: An earlier judgement of this recipient `is_undecided`.
        protocol_errors_before: Earlier judgements of this recipient that were `is_protocol_error`.
        accepted_before: Recipients that this transaction had accepted before (see `classify`).
    """
    verdict = _verdict(answer, accepted_before)
    if verdict.move is ACCEPTED:
        return Judgement(_outcome(answer, verdict), verdict)
    if interrupted_before and _may_be_the_recipient(answer, verdict):
        # A server that hangs up on one address must not keep us in a loop.
        verdict = replace(verdict, move=Move.DEFERRED, counted=True)
    if verdict.reason is Reason.PROTOCOL and verdict.move is Move.DEFERRED and protocol_errors_before > 0:
        verdict = replace(verdict, move=Move.FAILED, failure=Class.LOCAL)
    outcome = _outcome(answer, verdict)
    if verdict.move is not Move.DEFERRED:
        return Judgement(outcome, verdict)
    # An attempt that does not count cannot use up the attempts.
    attempts = attempt if verdict.counted else 0
    age = (now_ms - accepted_ms) / 1000
    if not settings.retry_delays or is_expired(
        attempts, age, max_attempts=settings.max_attempts, max_age=settings.max_age
    ):
        return Judgement(structs.replace(outcome, state=State.FAILED, reason=Reason.EXPIRED), verdict)
    delays = tuple(min(max(delay, verdict.least_delay), verdict.most_delay) for delay in settings.retry_delays)
    due_ms = now_ms + round(1000 * next_due(attempt, delays, jitter=jitter))
    return Judgement(structs.replace(outcome, due_ms=due_ms), verdict)


def _verdict(answer: Answer, accepted_before: int) -> Verdict:
    match answer:
        case Answered(phase, reply):
            verdict = classify(phase, reply, accepted_before=accepted_before)
            # A yes before the dot is no end; a session that stops there was not understood.
            return DESYNCHRONISED if verdict.move is ACCEPTED and phase is not DOT else verdict
        case Interrupted(body_begun=True):
            return _CUT_AFTER_BODY
        case Interrupted():
            return _CUT_BEFORE_BODY
        case Withheld():
            return _WITHHELD
        case Unsendable(reason):
            return failed(reason, Scope.MESSAGE if reason in _ABOUT_MESSAGE else Scope.RECIPIENT)


def _may_be_the_recipient(answer: Answer, verdict: Verdict) -> bool:
    """True for undecided ends of an attempt that the recipient may have caused.

    A cut amid a pipelined envelope is seen at MAIL even when RCPT was what it is about; a reply to MAIL never is.
    """
    if verdict.move is not Move.UNCHANGED or verdict.scope is not Scope.SESSION:
        return False
    match answer:
        case Interrupted(phase):
            return not phase.is_before_transaction
        case Answered(phase):
            return phase in (Phase.RCPT, Phase.DATA)
        case Withheld() | Unsendable():
            return False


def _outcome(answer: Answer, verdict: Verdict) -> Outcome:
    state = _STATES[verdict.move]
    match answer:
        case Answered(phase, reply):
            return Outcome(
                state=state,
                phase=phase,
                failure=verdict.failure,
                reason=verdict.reason,
                reply=reply,
                counted=verdict.counted,
                suppress=verdict.suppress,
            )
        case Interrupted(phase, text):
            return Outcome(
                state=state,
                phase=phase,
                failure=verdict.failure,
                reason=verdict.reason,
                text=text,
                counted=verdict.counted,
            )
        case Withheld(text) | Unsendable(_, text):
            return Outcome(
                state=state, failure=verdict.failure, reason=verdict.reason, text=text, counted=verdict.counted
            )
