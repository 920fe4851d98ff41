import io
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.reports.document import report_json
from mailer.reports.redaction import Redaction
from mailer.reports.tables import reason_table
from mailer.vocabulary.campaign import CampaignState
from mailer.vocabulary.recipient import LeftOut, LeftOutAs
from tests.reports.writing import write_csv, write_html, write_json_lines

from .samples import HEAD, RECORDS, REPORT, ROWS

SALT = b"the same for every test"
ADDRESSES = {row.email for row in ROWS}
LOCAL_PARTS = {address.rpartition("@")[0] for address in ADDRESSES}


@pytest.mark.parametrize(
    ("address", "redacted"),
    [
        ("ann@shop.example", r"~[0-9a-f]{16}@shop\.example"),
        ('"ann smith"@shop.example', r"~[0-9a-f]{16}@shop\.example"),
        ("ann@bücher.example", r"~[0-9a-f]{16}@bücher\.example"),
        ("bob@@acme.example", r"~[0-9a-f]{16}@acme\.example"),
        ("ann", r"~[0-9a-f]{16}"),
        ("Ann Smith <ann@shop.example>", r"~[0-9a-f]{16}"),
        ("ann@shop.example (Ann Smith)", r"~[0-9a-f]{16}"),
        ("ann@", r"~[0-9a-f]{16}"),
    ],
)
def test_a_local_part_is_hidden_and_a_domain_stays_where_one_can_be_seen(address: str, redacted: str) -> None:
    assert re.fullmatch(redacted, Redaction(SALT).address(address))


@given(st.emails(), st.emails())
def test_an_address_has_one_hash_within_a_report_and_no_other_address_has_it(one: str, other: str) -> None:
    redaction = Redaction()

    assert (redaction.address(one) == redaction.address(other)) == (one == other)
    assert Redaction().address(one) != redaction.address(one)


def test_the_same_local_part_at_two_domains_does_not_show_as_one_person() -> None:
    ann, her = (Redaction(SALT).address(address).partition("@")[0] for address in ("ann@a.example", "ann@b.example"))

    assert ann != her


@pytest.mark.parametrize(
    "said",
    [
        "<ann@shop.example>: Recipient address rejected: User unknown",
        "5.1.1 <Ann@Shop.Example>... User unknown",
        "no mailbox for ann here, ask ANN@shop.example.",
        "forwarded to ann.smith+x@other.example (ann)",
        'write to "ann smith"@shop.example or ann@[192.0.2.1]',
        "https://help.example/?who=ann@shop.example",
    ],
)
def test_what_a_server_says_about_somebody_does_not_tell_who_it_was(said: str) -> None:
    hidden = Redaction(SALT).text(said, "ann@shop.example")

    assert "ann" not in hidden.lower()
    assert "@" not in re.sub(r"~[0-9a-f]{16}(@[\w.\[\]]+)?", "", hidden)


def test_the_hash_in_a_text_is_the_hash_of_the_record() -> None:
    redaction = Redaction(SALT)
    record = redaction.record(
        replace(RECORDS[2], email="ann@shop.example", text="<ANN@shop.example> unknown, ann gone")
    )

    assert record.text == f"<{record.email}> unknown, {record.email.partition('@')[0]} gone"


def test_words_that_only_contain_a_local_part_stay() -> None:
    assert Redaction(SALT).text("cannot plan: annual quota", "ann@shop.example") == "cannot plan: annual quota"


@given(st.text())
def test_a_text_without_an_address_stays_as_it_is(text: str) -> None:
    assert "@" in text or Redaction(SALT).text(text) == text


def test_no_address_and_no_local_part_is_left_in_any_form_of_the_report() -> None:
    redaction = Redaction(SALT)
    report = redaction.report(REPORT)
    rows = [redaction.row(row) for row in ROWS]
    csv, lines, page = io.StringIO(newline=""), io.StringIO(), io.StringIO()
    write_csv(rows, csv)
    write_json_lines(rows, lines)
    write_html(report, rows, page)

    for text in (
        report_json(report),
        csv.getvalue(),
        lines.getvalue(),
        page.getvalue(),
        reason_table(report, width=300),
    ):
        told = [secret for secret in ADDRESSES | {f"{local}@" for local in LOCAL_PARTS} if secret in text]
        assert told == []


def test_nobody_gets_lost_and_the_domains_stay() -> None:
    redacted = Redaction(SALT).report(REPORT)

    assert redacted.totals == REPORT.totals
    assert redacted.domains == REPORT.domains
    assert len(redacted.refused) == len(REPORT.refused)
    assert list(redacted.refused.values()) == list(REPORT.refused.values())


def test_the_reason_of_a_pause_and_of_a_row_left_out_tell_nobody_either() -> None:
    redaction = Redaction(SALT)
    head = replace(HEAD, state=CampaignState.PAUSED, paused_reason="ann@shop.example was refused")
    left_out = redaction.row(
        LeftOut(row=1, email="ann at shop.example", kind=LeftOutAs.INVALID, reason='"ann at shop.example" has no @')
    )

    assert "ann@" not in (redaction.report(replace(REPORT, campaign=head)).campaign.paused_reason or "")
    assert isinstance(left_out, LeftOut)
    assert re.fullmatch(r'"~[0-9a-f]{16}" has no @', left_out.reason)


def test_the_salt_is_not_shown() -> None:
    assert "same" not in repr(Redaction(SALT))
