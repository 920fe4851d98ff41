"""What servers' texts have in common, what is theirs alone, and what to do about a reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.policy.reasons import hint_for, normalise, queue_id
from mailer.vocabulary.recipient import State
from mailer.vocabulary.verdict import Reason


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("<a@b.example>: User unknown", "<c.d@e.example>: User unknown"),
        ("a@b.example... User unknown", "c.d@e.example... User unknown"),
        (
            "Access denied [AM0PR01MB1234.eurprd01.prod.outlook.example 2025-05-12T10:00:00.123Z 08DD9A]",
            "Access denied [DB9PR02MB9.eurprd02.prod.outlook.example 2025-06-01T09:30:01.000Z 08DD9B]",
        ),
        (
            "unusual rate of mail. https://support.example/?p=Unsolicited a640c23a62f3a-41b1.12 - gsmtp",
            "unusual rate of mail. https://support.example/?p=Other 5b1f17b1804b1-44.7 - gsmtp",
        ),
        ("Client host [192.0.2.1] blocked using rbl.example", "Client host [192.0.2.77] blocked using rbl.example"),
        ("Client host [2001:db8::1] blocked", "Client host [2001:db8::2:3] blocked"),
        ("rejected, id=1abc-0004Xy-7Z", "rejected, id=1zzz-0009Ab-AB"),
        ("rejected (session: QkVFR)", "rejected (session: ZZxyQ)"),
        ("queued as 4XyZ", "queued as zBcDfG"),
        ("message of 12345 bytes is too big", "message of 99 bytes is too big"),
    ],
)
def test_texts_that_differ_only_in_what_is_different_every_time_make_one_line(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("User unknown", "User unknown"),
        ("<a@b.example>: Recipient address rejected: User unknown", "…: Recipient address rejected: User unknown"),
        ("4.2 MB is more than 3 MB", "… MB is more than … MB"),
        ("[TSS04] Messages deferred", "[TSS04] Messages deferred"),
        ("user id unknown", "user id unknown"),
        ("", ""),
    ],
)
def test_the_words_stay(text: str, line: str) -> None:
    assert normalise(text) == line


scraps = st.lists(
    st.one_of(st.sampled_from(["id", "=", ":", " ", "a@b", "<", ">", "…", "https://", "queued as ", "x1y2z3", "7"]))
).map("".join)


@given(st.one_of(st.text(max_size=500), scraps))
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert len(once) <= len(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Ok: queued as 4XyZ", "4XyZ"),
        ("from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 4F1B22C0A1", "4F1B22C0A1"),
        ("OK id=1abc-0004Xy-7Z", "1abc-0004Xy-7Z"),
        ("OK  1715600000 a640c23a62f3a-41b1.12 - gsmtp", "a640c23a62f3a-41b1.12"),
        ("<1@x.example> [InternalId=12345678, Hostname=AM1.example] 99 bytes Queued mail for delivery", "12345678"),
        ("44D9abc123 Message accepted for delivery", "44D9abc123"),
        ("ok 1715600000 qp 12345", "12345"),
        ("Message Queued (9F1E-12.1)", "9F1E-12.1"),
        (
            "Ok 0102018f1a2b3c4d-5e6f7081-1111-2222-3333-444455556666-000000",
            "0102018f1a2b3c4d-5e6f7081-1111-2222-3333-444455556666-000000",
        ),
        ("Great success", None),
        ("Ok", None),
        ("", None),
    ],
)
def test_the_servers_queue_id_is_found(text: str, found: str | None) -> None:
    assert queue_id(text) == found


@given(st.one_of(st.text(max_size=500), scraps, st.text(max_size=100).map("queued as {}".format)))
def test_a_queue_id_is_a_short_part_of_the_text(text: str) -> None:
    found = queue_id(text)
    if found is not None:
        assert found in text
        assert 0 < len(found) <= 64
        assert not any(character.isspace() for character in found)


@pytest.mark.parametrize(
    ("code", "enhanced_code", "reason", "state", "words"),
    [
        (550, "5.1.1", "no_such_mailbox", State.REFUSED, "remove the address from the list"),
        (550, "5.7.515", "policy", State.REFUSED, "the sending domain fails SPF, DKIM or DMARC"),
        (550, "5.7.26", "policy", State.REFUSED, "the sending domain fails SPF, DKIM or DMARC"),
        (554, "5.7.1", "content", State.REFUSED, "spam"),
        (450, None, "greylisted", State.DEFERRED, "nothing to do"),
        (None, None, "too_big", State.FAILED, "smaller"),
        (None, None, "poison", State.FAILED, "crashed"),
        (None, None, "interrupted", State.IN_DOUBT, "look for the Message-ID in the server's log before you resend"),
        (550, None, "unknown", State.REFUSED, "read the server's text"),
    ],
)
def test_a_reason_says_what_to_do(
    code: int | None, enhanced_code: str | None, reason: str, state: State, words: str
) -> None:
    hint = hint_for(code, enhanced_code, reason, state)
    assert hint is not None
    assert words in hint


@pytest.mark.parametrize("state", [State.SENT, State.SUPPRESSED, State.CANCELLED])
def test_there_is_nothing_to_do_where_nothing_went_wrong(state: State) -> None:
    assert hint_for(250, "2.0.0", None, state) is None


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason not in (Reason.UNKNOWN, Reason.PARAMETER)])
def test_every_reason_has_a_hint(reason: Reason) -> None:
    assert hint_for(None, None, reason, State.FAILED) is not None
