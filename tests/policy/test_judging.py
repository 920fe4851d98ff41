"""What one attempt means for one recipient."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.policy.judging import Judgement, judge
from mailer.vocabulary.outcome import Class
from mailer.vocabulary.phase import Phase, Scope
from mailer.vocabulary.recipient import State
from mailer.vocabulary.reply import Reply
from mailer.vocabulary.settings import DeliverySettings
from mailer.vocabulary.transmission import Answer, Answered, Interrupted, Unsendable, Withheld
from mailer.vocabulary.verdict import Connection, Move, Reason

NOW = 1_750_000_000_000
DAY = 86_400_000
BEFORE_THE_TRANSACTION = [phase for phase in Phase if phase.is_before_transaction]


def judged(
    answer: Answer,
    *,
    attempt: int = 1,
    age_ms: int = 0,
    settings: DeliverySettings | None = None,
    interrupted_before: bool = False,
    protocol_errors_before: int = 0,
    accepted_before: int = 1,
) -> Judgement:
    return judge(
        answer,
        attempt=attempt,
        accepted_ms=NOW - age_ms,
        now_ms=NOW,
        settings=settings or DeliverySettings(),
        jitter=0.0,
        interrupted_before=interrupted_before,
        protocol_errors_before=protocol_errors_before,
        accepted_before=accepted_before,
    )


def says(phase: Phase, line: str) -> Answered:
    code, _, text = line.partition(" ")
    return Answered(phase, Reply.read(int(code), [text.encode()]))


@pytest.mark.parametrize("line", ["250 2.0.0 Ok: queued as 4XyZ", "251 ok", "299 whatever"])
def test_any_yes_to_the_dot_is_sent(line: str) -> None:
    answer = says(Phase.DOT, line)
    outcome = judged(answer).outcome
    assert (outcome.state, outcome.phase, outcome.reply) == (State.SENT, Phase.DOT, answer.reply)
    assert outcome.counted
    assert (outcome.failure, outcome.reason, outcome.text, outcome.due_ms) == (None, None, None, None)


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.DOT])
def test_a_yes_anywhere_else_is_never_sent(phase: Phase) -> None:
    assert judged(says(phase, "250 ok")).outcome.state in (State.QUEUED, State.IN_DOUBT)


@pytest.mark.parametrize("phase", [Phase.BODY, Phase.DOT])
@pytest.mark.parametrize("interrupted_before", [False, True])
def test_a_cut_after_the_body_began_is_in_doubt(phase: Phase, interrupted_before: bool) -> None:
    judgement = judged(Interrupted(phase, "connection lost", body_begun=True), interrupted_before=interrupted_before)
    outcome = judgement.outcome
    assert (outcome.state, outcome.failure, outcome.text) == (State.IN_DOUBT, Class.UNKNOWN, "connection lost")
    assert outcome.due_ms is None
    assert judgement.verdict.connection is Connection.CLOSE


@pytest.mark.parametrize("phase", list(Phase))
def test_the_first_cut_before_the_body_changes_nothing(phase: Phase) -> None:
    judgement = judged(Interrupted(phase, "connection lost", body_begun=False))
    assert (judgement.outcome.state, judgement.outcome.counted) == (State.QUEUED, False)
    assert judgement.is_undecided
    assert judgement.verdict.blames_route


@pytest.mark.parametrize("phase", [Phase.MAIL, Phase.RCPT, Phase.DATA])
def test_a_second_cut_before_the_body_defers_and_counts(phase: Phase) -> None:
    judgement = judged(Interrupted(phase, "connection lost", body_begun=False), interrupted_before=True)
    outcome = judgement.outcome
    assert (outcome.state, outcome.counted, outcome.due_ms) == (State.DEFERRED, True, NOW + 300_000)
    assert judgement.verdict.blames_route


@pytest.mark.parametrize("phase", BEFORE_THE_TRANSACTION)
def test_cuts_before_the_envelope_are_never_the_recipients(phase: Phase) -> None:
    outcome = judged(Interrupted(phase, "connection lost", body_begun=False), interrupted_before=True).outcome
    assert outcome.state is State.QUEUED


@pytest.mark.parametrize("line", ["421 4.7.0 too many errors", "503 5.5.1 need MAIL first"])
def test_a_server_that_hangs_up_on_one_address_does_not_loop(line: str) -> None:
    first, second = says(Phase.RCPT, line), says(Phase.RCPT, line)
    assert judged(first).outcome.state is State.QUEUED
    assert judged(second, interrupted_before=True).outcome.state is State.DEFERRED


def test_a_sender_in_trouble_never_moves_a_recipient() -> None:
    judgement = judged(says(Phase.MAIL, "421 4.3.2 closing"), interrupted_before=True)
    assert judgement.outcome.state is State.QUEUED
    judgement = judged(says(Phase.MAIL, "550 5.7.60 send as denied"), attempt=99, age_ms=9 * DAY)
    assert (judgement.outcome.state, judgement.outcome.counted) == (State.QUEUED, False)
    assert judgement.verdict.pause is not None


def test_what_we_withheld_is_queued_again_and_nobody_is_to_blame() -> None:
    judgement = judged(Withheld("cannot record"), interrupted_before=True)
    outcome = judgement.outcome
    assert (outcome.state, outcome.counted, outcome.text) == (State.QUEUED, False, "cannot record")
    assert not judgement.verdict.blames_route
    assert not judgement.is_undecided


@pytest.mark.parametrize(
    ("reason", "scope"),
    [
        (Reason.TOO_BIG, Scope.MESSAGE),
        (Reason.CONTENT, Scope.MESSAGE),
        (Reason.SYNTAX, Scope.RECIPIENT),
        (Reason.SMTPUTF8, Scope.RECIPIENT),
    ],
)
def test_what_the_relay_cannot_carry_has_failed_before_it_was_said(reason: Reason, scope: Scope) -> None:
    judgement = judged(Unsendable(reason, "why"))
    outcome = judgement.outcome
    assert (outcome.state, outcome.failure, outcome.reason) == (State.FAILED, Class.LOCAL, reason)
    assert (outcome.text, outcome.phase, judgement.verdict.scope) == ("why", None, scope)


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 300), (2, 900), (5, 14_400), (19, 14_400)])
def test_a_transient_no_is_tried_again_by_the_schedule(attempt: int, seconds: int) -> None:
    outcome = judged(says(Phase.DOT, "451 4.3.0 local error"), attempt=attempt).outcome
    assert (outcome.state, outcome.counted, outcome.failure) == (State.DEFERRED, True, Class.TEMPORARY)
    assert outcome.due_ms == NOW + 1000 * seconds


@pytest.mark.parametrize(("attempt", "age_ms"), [(20, 0), (1, 2 * DAY)])
def test_a_transient_no_past_age_or_attempts_has_expired_and_keeps_the_last_reply(attempt: int, age_ms: int) -> None:
    answer = says(Phase.RCPT, "450 4.2.0 Greylisted")
    outcome = judged(answer, attempt=attempt, age_ms=age_ms).outcome
    assert (outcome.state, outcome.reason, outcome.reply) == (State.FAILED, Reason.EXPIRED, answer.reply)
    assert outcome.due_ms is None


def test_a_cut_past_the_maximal_age_has_expired_and_keeps_its_cause() -> None:
    answer = Interrupted(Phase.RCPT, "connection lost", body_begun=False)
    outcome = judged(answer, age_ms=2 * DAY, interrupted_before=True).outcome
    assert (outcome.state, outcome.reason, outcome.text) == (State.FAILED, Reason.EXPIRED, "connection lost")


def test_without_retry_delays_nothing_is_tried_twice() -> None:
    outcome = judged(says(Phase.DOT, "451 4.3.0 no"), settings=DeliverySettings(retry_delays=())).outcome
    assert (outcome.state, outcome.reason) == (State.FAILED, Reason.EXPIRED)


def test_throttling_at_the_dot_is_retried_within_ten_minutes_and_uses_up_no_attempt() -> None:
    throttled = says(Phase.DOT, "454 Throttling failure: Maximum sending rate exceeded.")
    outcome = judged(throttled, attempt=20, settings=DeliverySettings(retry_delays=(3600.0,))).outcome
    assert (outcome.state, outcome.counted) == (State.DEFERRED, False)
    assert outcome.due_ms == NOW + 500_000


def test_a_full_mailbox_is_left_alone_for_an_hour() -> None:
    outcome = judged(says(Phase.RCPT, "452 4.2.2 mailbox full")).outcome
    assert (outcome.state, outcome.due_ms) == (State.DEFERRED, NOW + 3_600_000)


@pytest.mark.parametrize("line", ["500 5.5.2 what?", "503 5.5.1 sequence", "550 5.5.0 huh"])
def test_a_protocol_error_at_the_dot_is_tried_once_more_and_then_failed(line: str) -> None:
    answer = says(Phase.DOT, line)
    first = judged(answer)
    assert (first.outcome.state, first.is_protocol_error) == (State.DEFERRED, True)
    second = judged(answer, attempt=2, protocol_errors_before=1)
    assert (second.outcome.state, second.outcome.reason) == (State.FAILED, Reason.PROTOCOL)
    assert (second.outcome.failure, second.outcome.reply) == (Class.LOCAL, answer.reply)
    assert second.verdict.connection is Connection.CLOSE


def test_a_refusal_keeps_the_reply_and_may_suppress() -> None:
    answer = says(Phase.RCPT, "550 5.1.1 no such user")
    outcome = judged(answer).outcome
    assert (outcome.state, outcome.reply, outcome.suppress) == (State.REFUSED, answer.reply, True)
    assert (outcome.failure, outcome.reason) == (Class.PERMANENT, Reason.NO_SUCH_MAILBOX)


def test_too_big_is_failed_and_not_refused() -> None:
    outcome = judged(says(Phase.DOT, "552 5.3.4 too big")).outcome
    assert (outcome.state, outcome.reason, outcome.failure) == (State.FAILED, Reason.TOO_BIG, Class.LOCAL)


def test_too_many_recipients_are_queued_for_a_transaction_of_their_own() -> None:
    judgement = judged(says(Phase.RCPT, "452 4.5.3 too many recipients"), accepted_before=4)
    assert (judgement.outcome.state, judgement.outcome.counted) == (State.QUEUED, False)
    assert judgement.verdict.move is Move.SPLIT
    assert judged(says(Phase.RCPT, "452 4.5.3 too many recipients"), accepted_before=0).outcome.due_ms is not None


replies = st.builds(
    Reply,
    st.integers(0, 1000),
    st.one_of(st.none(), st.from_regex(r"[245]\.[0-9]\.[0-9]{1,2}", fullmatch=True)),
    st.text(max_size=40),
)
answers = st.one_of(
    st.builds(Answered, st.sampled_from(Phase), replies),
    st.builds(Interrupted, st.sampled_from(Phase), st.text(max_size=20), st.booleans()),
    st.builds(Withheld, st.text(max_size=20)),
    st.builds(Unsendable, st.sampled_from(Reason), st.text(max_size=20)),
)


@given(answers, st.integers(1, 30), st.integers(0, 4 * DAY), st.booleans(), st.integers(0, 2), st.integers(0, 5))
def test_every_answer_has_an_outcome_that_the_ledger_can_take(
    answer: Answer, attempt: int, age_ms: int, interrupted_before: bool, protocol_errors_before: int, accepted: int
) -> None:
    outcome = judged(
        answer,
        attempt=attempt,
        age_ms=age_ms,
        interrupted_before=interrupted_before,
        protocol_errors_before=protocol_errors_before,
        accepted_before=accepted,
    ).outcome
    assert outcome.state.is_final or outcome.state in (State.QUEUED, State.DEFERRED)
    assert (outcome.due_ms is not None) == (outcome.state is State.DEFERRED)
    assert (outcome.failure is None) == (outcome.state is State.SENT)
    if outcome.state is State.SENT:
        assert isinstance(answer, Answered)
        assert answer.phase is Phase.DOT
        assert answer.reply.is_positive
    if outcome.state is State.QUEUED:
        assert not outcome.counted


@given(answers, st.booleans())
def test_nothing_that_may_have_been_delivered_is_queued_again(answer: Answer, interrupted_before: bool) -> None:
    outcome = judged(answer, interrupted_before=interrupted_before).outcome
    match answer:
        case Interrupted(body_begun=True):
            assert outcome.state is State.IN_DOUBT
        case Answered(phase, reply) if phase.may_have_delivered:
            assert outcome.state is not State.QUEUED
            assert reply.is_transient or reply.is_permanent or outcome.state in (State.SENT, State.IN_DOUBT)
