"""What many refusals have in common is said once for each receiver."""

import io
from dataclasses import replace

from mailer.reports.document import report_document
from mailer.reports.findings import findings
from tests.reports.writing import write_html

from .samples import HEAD, REPORT

FAILS = (550, "5.7.515 Access denied, sending domain acme.example does not pass")


def test_nine_hundred_refusals_for_the_sending_domain_are_one_warning() -> None:
    refused = {f"p{number}@{'outlook.com' if number % 2 else 'hotmail.de'}": FAILS for number in range(900)}
    (finding,) = findings(replace(REPORT, refused=refused))
    assert finding.message == (
        "Outlook.com refused 900 messages: 550 5.7.515 – the sending domain fails SPF, DKIM or DMARC"
    )
    assert str(finding.hint).startswith("publish SPF, DKIM and DMARC for acme.example in DNS")


def test_receivers_stand_apart_the_one_with_most_refusals_first() -> None:
    refused = {
        "ann@gmail.com": (550, "5.7.26 unauthenticated"),
        "bob@outlook.com": FAILS,
        "cyd@live.nl": FAILS,
        "dan@shop.example": (554, "5.7.23 SPF"),
    }
    told = [finding.message.partition(" refused ")[0] for finding in findings(replace(REPORT, refused=refused))]
    assert told == ["Outlook.com", "Gmail", "shop.example"]


def test_refusals_of_recipients_are_no_finding() -> None:
    assert findings(REPORT) == ()
    assert report_document(REPORT)["warnings"] == []


def test_the_domain_to_mend_is_the_senders_however_he_is_written() -> None:
    for sender in ("news@acme.example", "Acme <news@acme.example>"):
        (finding,) = findings(replace(REPORT, campaign=replace(HEAD, sender=sender), refused={"a@b.example": FAILS}))
        assert "for acme.example in DNS" in str(finding.hint)


def test_the_page_says_it_above_the_totals() -> None:
    stream = io.StringIO()
    write_html(replace(REPORT, refused={"ann@outlook.com": FAILS}), (), stream)
    page = stream.getvalue()
    assert "Outlook.com refused 1 message: 550 5.7.515" in page
    assert page.index("Outlook.com refused") < page.index('id="totals"')
