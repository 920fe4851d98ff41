"""The reply table, row by row, and what holds for every reply there is."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.policy.classification import classify
from mailer.policy.reply_table import TABLE
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.reply import Reply
from mailer.vocabulary.verdict import Connection, Move, Reason, Verdict

GREETING, EHLO, TLS, AUTH, MAIL, RCPT, DATA, BODY, DOT = list(Phase)[2:]

# A verdict in words: move, reason, @scope, then whatever is out of the ordinary (`unchanged` never counts).
BEFORE_THE_ENVELOPE = [
    (GREETING, "220 mx.acme.example ESMTP", "accepted @session"),
    (GREETING, "421 4.3.2 too many connections", "unchanged rate @route close slow"),
    (GREETING, "421 4.7.0 busy", "unchanged rate @route close slow"),
    (GREETING, "554 5.7.1 no service for you", "unchanged policy @route close rest=300"),
    (GREETING, "550 5.3.2 not now", "unchanged policy @route close rest=300"),
    (GREETING, "521 does not accept mail", "unchanged configuration @route close pause"),
    (EHLO, "250 mx.acme.example", "accepted @session"),
    (EHLO, "421 4.3.2 going down", "unchanged rate @route close slow"),
    (EHLO, "500 what?", "unchanged configuration @route close pause"),
    (EHLO, "502 not implemented", "unchanged configuration @route close pause"),
    (EHLO, "550 5.7.1 bad helo", "unchanged configuration @route close pause"),
    (EHLO, "554 5.7.1 bad helo", "unchanged configuration @route close pause"),
    (TLS, "220 go ahead", "accepted @session"),
    (TLS, "421 bye", "unchanged rate @route close slow"),
    (TLS, "454 4.7.0 TLS not available", "unchanged tls @route close rest=60"),
    (TLS, "502 5.5.1 not implemented", "unchanged tls @route close pause"),
    (AUTH, "235 2.7.0 ok", "accepted @session"),
    (AUTH, "334 VXNlcm5hbWU6", "accepted @session"),
    (AUTH, "432 4.7.12 password transition", "unchanged authentication @route close pause"),
    (AUTH, "454 4.7.0 temporary failure", "unchanged authentication @route close rest=60"),
    (AUTH, "421 4.7.0 too many logins", "unchanged rate @route close slow rest=60"),
    (AUTH, "451 4.7.0 later", "unchanged rate @route close slow rest=60"),
    (AUTH, "500 5.5.6 exchange too long", "unchanged authentication @route close pause"),
    (AUTH, "501 5.5.2 malformed", "unchanged authentication @route close pause"),
    (AUTH, "503 5.5.1 already authenticated", "unchanged protocol @session close"),
    (AUTH, "504 5.5.4 unknown mechanism", "unchanged authentication @route close pause"),
    (AUTH, "534 5.7.9 too weak", "unchanged authentication @route close pause"),
    (AUTH, "535 5.7.8 bad credentials", "unchanged authentication @route close pause"),
    (AUTH, "535 5.7.3 authentication unsuccessful", "unchanged authentication @route close pause"),
    (AUTH, "538 5.7.11 encryption required", "unchanged authentication @route close pause"),
    (AUTH, "525 5.7.13 account disabled", "unchanged authentication @route close pause"),
    (AUTH, "554 5.7.0 no", "unchanged authentication @route close pause"),
]

MAIL_ROWS = [
    (MAIL, "250 2.1.0 ok", "accepted @message"),
    (MAIL, "421 4.3.2 closing", "unchanged unavailable @session close slow rest=1"),
    (MAIL, "450 4.1.8 sender domain not found", "unchanged sender @route slow rest=60"),
    (MAIL, "451 4.3.0 local error", "unchanged unavailable @route slow rest=60"),
    (MAIL, "451 4.7.1 greylisted", "unchanged policy @route slow rest=60"),
    (MAIL, "450 4.7.28 flood", "unchanged rate @route close slow rest=60"),
    (MAIL, "452 4.3.1 insufficient system storage", "unchanged unavailable @route rest=300"),
    (MAIL, "452 insufficient system storage", "unchanged unavailable @route rest=300"),
    (MAIL, "454 Throttling failure: Maximum sending rate exceeded.", "unchanged rate @route slow rest=10"),
    (MAIL, "454 Throttling failure: Daily message quota exceeded.", "unchanged quota @route pause"),
    (MAIL, "432 4.3.2 Concurrent connections limit exceeded", "unchanged rate @route close slow rest=10"),
    (MAIL, "455 4.5.4 parameter", "unchanged parameter @route"),
    (MAIL, "555 5.5.4 Unsupported parameter", "unchanged parameter @route"),
    (MAIL, "530 5.7.0 Must issue a STARTTLS command first", "unchanged authentication @route close pause"),
    (MAIL, "530 5.7.1 Authentication required", "unchanged authentication @route close pause"),
    (MAIL, "553 5.1.7 bad sender", "unchanged sender @campaign pause"),
    (MAIL, "550 5.1.8 sender domain not found", "unchanged sender @campaign pause"),
    (MAIL, "554 5.7.1 not your address", "unchanged sender @campaign pause"),
    (MAIL, "550 5.7.27 sender has null MX", "unchanged sender @campaign pause"),
    (MAIL, "550 5.7.60 send as denied", "unchanged sender @campaign pause"),
    (MAIL, "550 5.2.252 SendAsDenied", "unchanged sender @campaign pause"),
    (MAIL, "550 no", "unchanged sender @campaign pause"),
    (MAIL, "554 5.7.1 Client host blocked using zen.spamhaus.org", "unchanged policy @campaign pause"),
    (MAIL, "550 5.7.26 unauthenticated", "unchanged policy @campaign pause"),
    (MAIL, "550 5.4.5 Daily user sending limit exceeded", "unchanged quota @route close pause"),
    (MAIL, "550 relay not permitted", "unchanged relay_denied @route pause"),
    (MAIL, "554 5.2.0 SubmissionQuotaExceeded", "unchanged quota @route close pause"),
    (MAIL, "504 5.5.2 <box>: Helo command rejected", "unchanged configuration @route close pause"),
    (MAIL, "554 5.3.2 system not accepting", "unchanged unavailable @route close pause"),
    (MAIL, "552 5.3.4 message size exceeds limit", "failed too_big @message"),
    (MAIL, "552 too big", "failed too_big @message"),
    (MAIL, "503 5.5.1 nested MAIL", "unchanged protocol @session close"),
    (MAIL, "500 5.5.2 syntax", "unchanged protocol @route close pause"),
    (MAIL, "501 5.5.4 syntax", "unchanged protocol @route close pause"),
    (MAIL, "214 help", "unchanged protocol @session close"),
    (MAIL, "354 go", "unchanged protocol @session close"),
    (MAIL, "550 5.7.15 priority too low", "unchanged policy @route rest=60"),
]

RCPT_ROWS = [
    (RCPT, "250 2.1.5 ok", "accepted @recipient"),
    (RCPT, "251 will forward", "accepted @recipient"),
    (RCPT, "252 cannot verify, will try", "accepted @recipient"),
    (RCPT, "421 4.7.0 too many errors", "unchanged rate @session close slow rest=1"),
    (RCPT, "450 4.2.0 mailbox busy", "deferred unavailable @recipient"),
    (RCPT, "450 4.2.1 mailbox busy", "deferred unavailable @recipient"),
    (RCPT, "450 4.2.1 receiving mail at a rate that prevents delivery", "deferred rate @recipient uncounted"),
    (RCPT, "450 4.7.1 come back later", "deferred greylisted @recipient"),
    (RCPT, "450 4.2.0 Greylisted", "deferred greylisted @recipient"),
    (RCPT, "451 Graylisting in action", "deferred greylisted @recipient"),
    (RCPT, "450 4.1.1 unverified address", "deferred unavailable @recipient"),
    (RCPT, "451 4.1.1 unverified address", "deferred unavailable @recipient"),
    (RCPT, "451 4.3.0 local error", "deferred unavailable @recipient"),
    (RCPT, "451 4.3.5 server configuration", "deferred unavailable @recipient"),
    (RCPT, "451 4.4.3 DNS", "deferred no_route @recipient"),
    (RCPT, "451 4.7.1 policy server down", "deferred policy @recipient"),
    (RCPT, "452 4.5.3 too many recipients", "split rate @session uncounted"),
    (RCPT, "452 Too many recipients", "split rate @session uncounted"),
    (RCPT, "452 4.2.2 mailbox full", "deferred mailbox_full @recipient after=3600"),
    (RCPT, "452 4.3.1 system storage", "deferred unavailable @route rest=300"),
    (RCPT, "552 5.5.3 too many recipients", "split rate @session uncounted"),
    (RCPT, "552 5.2.2 mailbox full", "refused mailbox_full @recipient"),
    (RCPT, "552 exceeded storage allocation", "refused mailbox_full @recipient"),
    (RCPT, "550 5.1.1 no such user", "refused no_such_mailbox @recipient suppress"),
    (RCPT, "550 5.1.0 no such user", "refused no_such_mailbox @recipient suppress"),
    (RCPT, "550 5.1.3 bad syntax", "refused syntax @recipient suppress"),
    (RCPT, "501 5.1.3 bad syntax", "refused syntax @recipient suppress"),
    (RCPT, "550 5.1.2 bad domain", "refused bad_domain @recipient suppress"),
    (RCPT, "501 5.1.2 bad domain", "refused bad_domain @recipient suppress"),
    (RCPT, "550 5.1.6 moved", "refused moved @recipient suppress"),
    (RCPT, "556 5.1.10 null MX", "refused bad_domain @recipient suppress"),
    (RCPT, "550 5.1.10 null MX", "refused bad_domain @recipient suppress"),
    (RCPT, "556 takes no mail", "refused bad_domain @recipient"),
    (RCPT, "550 5.1.4 ambiguous", "refused no_such_mailbox @recipient"),
    (RCPT, "550 5.2.1 disabled", "refused mailbox_disabled @recipient"),
    (RCPT, "550 5.2.3 too long for the mailbox", "refused too_big @recipient"),
    (RCPT, "551 5.7.1 user not local", "refused relay_denied @message"),
    (RCPT, "551 user not local; try <x@y.example>", "refused relay_denied @message"),
    (RCPT, "553 5.1.3 name not allowed", "refused syntax @recipient"),
    (RCPT, "553 5.7.1 not allowed", "refused policy @message"),
    (RCPT, "553 5.7.1 Sender address rejected: not owned by user bob", "unchanged sender @campaign pause"),
    (RCPT, "553 5.6.7 non-ASCII", "refused smtputf8 @recipient"),
    (RCPT, "550 5.6.7 non-ASCII", "refused smtputf8 @recipient"),
    (RCPT, "550 5.6.9 non-ASCII", "refused smtputf8 @recipient"),
    (RCPT, "550 5.4.1 no route", "refused no_route @recipient"),
    (RCPT, "554 5.4.4 no route", "refused no_route @recipient"),
    (RCPT, "554 5.4.6 loop", "refused loop @recipient"),
    (RCPT, "550 5.4.7 expired in transit", "refused no_route @recipient"),
    (RCPT, "554 5.7.1 <a@b.example>: Relay access denied", "unchanged relay_denied @route pause"),
    (RCPT, "550 5.7.1 Relaying denied", "unchanged relay_denied @route pause"),
    (RCPT, "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain", "unchanged relay_denied @route pause"),
    (RCPT, "454 4.7.1 <a@b.example>: Relay access denied", "unchanged relay_denied @route pause"),
    (RCPT, "550 5.7.1 we do not like you", "refused policy @message"),
    (RCPT, "554 Client host blocked using zen.spamhaus.org", "refused policy @message"),
    (RCPT, "550 5.7.17 mailbox owner changed", "refused owner_changed @recipient suppress"),
    (RCPT, "550 5.7.18 domain owner changed", "refused owner_changed @recipient suppress"),
    *[
        (RCPT, f"550 5.7.{n} authentication", "refused policy @message pause")
        for n in (20, 21, 22, 23, 24, 25, 26, 29, 30, 31, 32, 515)
    ],
    (RCPT, "421 4.7.28 unusual rate", "deferred rate @recipient uncounted close slow"),
    (RCPT, "550 5.7.28 mail flood", "refused rate @message close pause slow"),
    (RCPT, "550 5.4.5 Daily user sending limit exceeded", "unchanged quota @route close pause"),
    (RCPT, "550 5.1.8 Access denied, bad outbound sender", "unchanged quota @route close pause"),
    (RCPT, "550 5.7.705 tenant has exceeded threshold", "unchanged quota @route close pause"),
    (RCPT, "550 5.7.708 traffic not accepted from this IP", "unchanged quota @route close pause"),
    (RCPT, "554 5.2.0 recipients per day exceeded", "unchanged quota @route close pause"),
    (RCPT, "530 5.7.0 authentication required", "unchanged authentication @route close pause"),
    (RCPT, "503 5.5.1 need MAIL", "unchanged protocol @session close"),
    (RCPT, "432 4.3.2 Concurrent connections limit exceeded", "unchanged rate @route close slow rest=10"),
    (RCPT, "454 Throttling failure: Maximum sending rate exceeded.", "unchanged rate @route slow rest=10"),
    (RCPT, "454 Throttling failure: Daily message quota exceeded.", "unchanged quota @route pause"),
    (RCPT, "550 5.7.60 not your address", "unchanged sender @campaign pause"),
    (RCPT, "552 too many recipients", "split rate @session uncounted"),
    # What Postfix has to say of MAIL and EHLO it says here.
    (RCPT, "550 5.1.0 <us@x.example>: Sender address rejected: User unknown", "unchanged sender @campaign pause"),
    (RCPT, "550 5.1.8 <us@x.example>: Sender address rejected: Domain not found", "unchanged sender @campaign pause"),
    (RCPT, "504 5.5.2 <box>: Helo command rejected: need FQDN", "unchanged configuration @route close pause"),
    (RCPT, "450 4.1.8 <us@x.example>: Sender address rejected: Domain not found", "deferred sender @campaign"),
]

DATA_ROWS = [
    (DATA, "354 go", "accepted @message"),
    (DATA, "421 4.3.2 closing", "deferred unavailable @message close"),
    (DATA, "451 4.3.0 not now", "deferred unavailable @message"),
    (DATA, "452 4.3.1 no room", "deferred unavailable @route rest=300"),
    (DATA, "454 Throttling failure: Maximum sending rate exceeded.", "unchanged rate @route slow rest=10"),
    (DATA, "454 Throttling failure: Daily message quota exceeded.", "unchanged quota @route pause"),
    (DATA, "503 5.5.1 no valid recipients", "unchanged protocol @session"),
    (DATA, "554 5.5.1 no valid recipients", "unchanged protocol @session"),
    (DATA, "554 no valid recipients", "unchanged protocol @session"),
    (DATA, "552 5.3.4 too big", "failed too_big @message"),
    (DATA, "554 5.3.4 too big", "failed too_big @message"),
    (DATA, "554 5.7.1 policy", "refused policy @message"),
    (DATA, "530 5.7.0 log in", "unchanged authentication @route close pause"),
    (DATA, "550 5.4.5 Daily user sending limit exceeded", "unchanged quota @route close pause"),
    (DATA, "550 no", "refused unknown @message"),
    (DATA, "432 4.3.2 Concurrent connections limit exceeded", "unchanged rate @route close slow rest=10"),
    (DATA, "554 5.2.0 recipients per day exceeded", "unchanged quota @route close pause"),
    (DATA, "550 5.7.60 not your address", "unchanged sender @campaign pause"),
    (DATA, "550 5.7.26 authentication", "refused policy @message pause"),
    (DATA, "550 5.1.1 no such user", "refused no_such_mailbox @recipient"),
    (DATA, "500 what?", "deferred protocol @message close"),
    (DATA, "250 ok", "unchanged protocol @session close"),
    (DATA, "334 go", "unchanged protocol @session close"),
]

DOT_ROWS = [
    (DOT, "250 2.0.0 Ok: queued as 4XyZ", "accepted @message"),
    (DOT, "250 2.6.0 <x@y> Queued mail for delivery", "accepted @message"),
    (DOT, "299 taken", "accepted @message"),
    (DOT, "421 4.3.2 closing", "deferred unavailable @message close"),
    (DOT, "450 4.2.0 not now", "deferred unavailable @message"),
    (DOT, "451 4.7.1 not now", "deferred policy @message"),
    (DOT, "451 4.3.0 not now", "deferred unavailable @message"),
    (DOT, "450 4.7.28 unusual rate", "deferred rate @message uncounted close slow"),
    (DOT, "452 4.2.2 mailbox full", "deferred mailbox_full @recipient after=3600"),
    (DOT, "451 Greylisted", "deferred greylisted @message"),
    (DOT, "452 4.3.1 no room", "deferred unavailable @route rest=300"),
    (DOT, "454 Throttling failure: Maximum sending rate exceeded.", "deferred rate @route uncounted slow within=500"),
    (DOT, "454 Throttling failure: Daily message quota exceeded.", "deferred quota @route uncounted pause"),
    (DOT, "432 4.3.2 sender thread limit exceeded", "deferred rate @route uncounted close slow within=500"),
    (DOT, "550 5.1.1 no such user", "refused no_such_mailbox @recipient"),
    (DOT, "550 5.2.1 disabled", "refused mailbox_disabled @recipient"),
    (DOT, "550 5.1.2 bad domain", "refused bad_domain @recipient"),
    (DOT, "550 5.1.3 bad syntax", "refused syntax @recipient"),
    (DOT, "550 5.1.6 moved", "refused moved @recipient"),
    (DOT, "550 5.2.4 list", "refused unknown @recipient"),
    (DOT, "550 5.4.4 no route", "refused no_route @recipient"),
    (DOT, "550 5.7.28 mail flood", "refused rate @message close pause slow"),
    (DOT, "554 5.2.0 SubmissionQuotaExceeded", "deferred quota @route uncounted close pause"),
    (DOT, "552 5.2.2 full", "refused mailbox_full @recipient"),
    (DOT, "550 5.7.1 spam", "refused content @message"),
    (DOT, "554 5.7.0 virus", "refused content @message"),
    (DOT, "554 5.7.9 policy", "refused content @message"),
    (DOT, "554 5.6.0 bad MIME", "refused content @message"),
    (DOT, "550 5.7.26 multiple authentication failures", "refused policy @message pause"),
    (DOT, "550 5.7.25 no PTR", "refused policy @message pause"),
    (DOT, "550 5.7.23 SPF", "refused policy @message pause"),
    (DOT, "550 5.7.515 Access denied, sending domain fails", "refused policy @message pause"),
    (DOT, "552 5.3.4 too big", "failed too_big @message"),
    (DOT, "554 5.2.3 too big", "failed too_big @message"),
    (DOT, "552 Message size exceeds fixed limit", "failed too_big @message"),
    (DOT, "554 5.6.1 media not supported", "refused content @message pause"),
    (DOT, "554 5.6.3 conversion required", "refused content @message pause"),
    (DOT, "554 5.2.2 mailbox full; STOREDRV.Submission.Exception", "deferred quota @route uncounted close pause"),
    (DOT, "554 transaction failed", "refused unknown @message"),
    (DOT, "554 looks like spam", "refused content @message"),
    (DOT, "500 5.5.2 what?", "deferred protocol @message close"),
    (DOT, "503 5.5.1 sequence", "deferred protocol @message close"),
    (DOT, "504 what?", "deferred protocol @message close"),
    (DOT, "550 5.4.5 Daily user sending limit exceeded", "deferred quota @route uncounted close pause"),
    (DOT, "554 5.2.252 SendAsDenied", "refused sender @message pause"),
    (DOT, "354 go", "in_doubt protocol @session close"),
    (BODY, "250 ok", "in_doubt protocol @session close"),
    (BODY, "421 bye", "deferred unavailable @message close"),
    (BODY, "550 5.7.1 spam", "refused content @message close"),
]

NO_ROW_MATCHES = [
    (RCPT, "450 4.9.9 whatever", "deferred unavailable @recipient"),
    (RCPT, "550 5.1.99 whatever", "refused no_such_mailbox @recipient"),
    (RCPT, "550 5.2.99 whatever", "refused unknown @recipient"),
    (RCPT, "550 5.3.0 whatever", "refused unavailable @message"),
    (RCPT, "554 5.3.2 system not accepting", "unchanged unavailable @route close rest=300"),
    (RCPT, "552 5.3.4 too big", "failed too_big @message"),
    (RCPT, "550 5.4.99 whatever", "refused no_route @recipient"),
    (RCPT, "550 5.5.1 whatever", "deferred protocol @recipient close"),
    (RCPT, "501 5.5.4 whatever", "refused syntax @recipient"),
    (RCPT, "501 syntax", "refused syntax @recipient"),
    (RCPT, "500 line too long", "deferred protocol @recipient close"),
    (RCPT, "502 what?", "deferred protocol @recipient close"),
    (RCPT, "550 5.6.0 whatever", "refused content @message pause"),
    (RCPT, "550 5.7.99 whatever", "refused policy @message"),
    (RCPT, "550 5.0.0 whatever", "refused unknown @recipient"),
    (RCPT, "550 whatever", "refused unknown @recipient"),
    (RCPT, "550 User unknown", "refused no_such_mailbox @recipient"),
    (RCPT, "550 5.5.0 Requested action not taken: mailbox unavailable", "refused no_such_mailbox @recipient"),
    (RCPT, "211 info", "unchanged protocol @session close"),
    (RCPT, "354 go", "unchanged protocol @session close"),
    (RCPT, "550 5.3.6 priority", "deferred policy @recipient"),
    (RCPT, "450 4.7.15 priority", "deferred policy @recipient"),
    (DOT, "550 5.7.16 priority", "deferred policy @message"),
    (DOT, "550 5.3.0 whatever", "refused unavailable @message"),
    (DOT, "550 5.5.1 whatever", "deferred protocol @message close"),
    (DOT, "550 5.4.6 loop", "refused loop @recipient"),
    (DOT, "550 whatever", "refused unknown @message"),
]


@pytest.mark.parametrize(
    ("phase", "line", "meaning"),
    [*BEFORE_THE_ENVELOPE, *MAIL_ROWS, *RCPT_ROWS, *DATA_ROWS, *DOT_ROWS, *NO_ROW_MATCHES],
)
def test_every_row_of_the_reply_table_means_what_it_says(phase: Phase, line: str, meaning: str) -> None:
    assert in_words(classify(phase, spoken(line))) == meaning


@pytest.mark.parametrize(
    ("line", "accepted_before", "move"),
    [
        ("452 4.5.3 too many", 3, Move.SPLIT),
        ("452 4.5.3 too many", 1, Move.SPLIT),
        ("452 4.5.3 too many", 0, Move.DEFERRED),
        ("552 5.5.3 too many", 1, Move.SPLIT),
        ("552 5.5.3 too many", 0, Move.REFUSED),
        ("552 no", 2, Move.SPLIT),
        ("552 no", 1, Move.REFUSED),
        ("552 mailbox full", 2, Move.REFUSED),
    ],
)
def test_too_many_recipients_split_only_what_can_be_split(line: str, accepted_before: int, move: Move) -> None:
    assert classify(RCPT, spoken(line), accepted_before=accepted_before).move is move


def test_a_basic_code_that_contradicts_the_enhanced_one_decides_about_retry_and_suppresses_nobody() -> None:
    assert in_words(classify(RCPT, spoken("450 5.1.1 unknown"))) == "deferred unavailable @recipient"
    assert in_words(classify(RCPT, spoken("550 4.1.1 unknown"))) == "refused no_such_mailbox @recipient"


def test_every_phase_has_its_part_of_the_table() -> None:
    assert set(TABLE) == set(Phase)


phases = st.sampled_from(Phase)
positions = st.integers(0, 40)
details = st.one_of(st.none(), st.from_regex(r"[245]\.[0-9]\.[1-9][0-9]?", fullmatch=True))
texts = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            [
                *("relay access denied", "daily quota exceeded", "throttled", "rate", "greylisted", "mailbox full"),
                *("sender address rejected", "too many recipients", "size", "spam", "blocked", "user unknown"),
                *("Helo command rejected", "no valid recipients", "STOREDRV.Submission", "per day", "virus"),
            ]
        ),
        max_size=3,
    ).map(" ".join),
)


def replies(first: int, last: int) -> st.SearchStrategy[Reply]:
    return st.builds(Reply, st.integers(first, last), details, texts)


@given(phases, replies(-10, 1100), positions)
def test_no_reply_is_without_a_verdict(phase: Phase, reply: Reply, accepted_before: int) -> None:
    verdict = classify(phase, reply, accepted_before=accepted_before)
    assert (verdict.reason is None) == (verdict.move is Move.ACCEPTED)


@given(phases, replies(400, 499), positions)
def test_a_transient_reply_refuses_nobody(phase: Phase, reply: Reply, accepted_before: int) -> None:
    move = classify(phase, reply, accepted_before=accepted_before).move
    assert move in (Move.DEFERRED, Move.UNCHANGED, Move.SPLIT)


@given(phases, replies(500, 599), positions)
def test_a_permanent_reply_defers_only_for_protocol_priority_and_our_own_quota(
    phase: Phase, reply: Reply, accepted_before: int
) -> None:
    verdict = classify(phase, reply, accepted_before=accepted_before)
    assert verdict.move not in (Move.ACCEPTED, Move.IN_DOUBT)
    if verdict.move is Move.DEFERRED:
        priority = (reply.enhanced_code or "")[2:] in ("3.6", "7.15", "7.16")
        assert verdict.reason in (Reason.PROTOCOL, Reason.QUOTA) or priority


@given(phases, replies(200, 599), positions)
def test_only_a_permanent_reply_to_rcpt_with_an_address_code_suppresses(
    phase: Phase, reply: Reply, accepted_before: int
) -> None:
    if classify(phase, reply, accepted_before=accepted_before).suppress:
        assert phase is RCPT
        assert reply.is_permanent
        assert reply.enhanced_code in ("5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.7.17", "5.7.18")


@given(st.sampled_from([phase for phase in Phase if phase.is_before_transaction or phase is MAIL]), replies(200, 599))
def test_trouble_before_rcpt_is_no_outcome_of_a_recipient(phase: Phase, reply: Reply) -> None:
    verdict = classify(phase, reply)
    too_big = phase is MAIL and verdict.reason is Reason.TOO_BIG
    assert verdict.move in (Move.ACCEPTED, Move.UNCHANGED) or too_big


@given(st.sampled_from([BODY, DOT]), replies(200, 599))
def test_nobody_goes_back_to_queued_once_the_body_is_out(phase: Phase, reply: Reply) -> None:
    assert classify(phase, reply).move not in (Move.UNCHANGED, Move.SPLIT)


@given(phases, replies(200, 599), positions)
def test_whatever_leaves_a_recipient_unchanged_makes_the_route_pause_or_wait(
    phase: Phase, reply: Reply, accepted_before: int
) -> None:
    verdict = classify(phase, reply, accepted_before=accepted_before)
    if verdict.move is Move.UNCHANGED:
        assert not verdict.counted
        assert verdict.pause or verdict.blames_route


@given(phases, details, texts)
def test_421_always_closes_the_connection(phase: Phase, detail: str | None, text: str) -> None:
    assert classify(phase, Reply(421, detail, text)).connection is Connection.CLOSE


def spoken(line: str) -> Reply:
    """A reply as the server says it on one line."""
    code, _, text = line.partition(" ")
    return Reply.read(int(code), [text.encode()])


def in_words(verdict: Verdict) -> str:
    """A verdict as the tables above write it."""
    words = [verdict.move.value]
    if verdict.reason is not None:
        words.append(verdict.reason.value)
    words.append(f"@{verdict.scope.value}")
    if not verdict.counted and verdict.move is not Move.UNCHANGED:
        words.append("uncounted")
    if verdict.connection is Connection.CLOSE:
        words.append("close")
    if verdict.pause is not None:
        words.append("pause")
    if verdict.slow_down:
        words.append("slow")
    if verdict.suppress:
        words.append("suppress")
    if verdict.route_delay is not None:
        words.append(f"rest={verdict.route_delay:g}")
    if verdict.least_delay:
        words.append(f"after={verdict.least_delay:g}")
    if verdict.most_delay != inf:
        words.append(f"within={verdict.most_delay:g}")
    return " ".join(words)
