"""Lint: what mail clients show badly is found in its line, and what is in order is left alone."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.policy.lint import FIXES, LARGEST_HTML, LONGEST_SUBJECT, Finding, Linter, lint, read_parts
from mailer.policy.lint_tally import LintTally
from mailer.policy.message import Skeleton

GOOD = '<!DOCTYPE html>\n<html lang="en">\n<head><title>News</title></head>\n<body>\n{}\n</body></html>'


def found(html: str) -> list[tuple[str, int | None]]:
    return [(finding.rule, finding.line) for finding in lint("News", None, html, len(html.encode()))]


def in_body(content: str) -> list[tuple[str, int | None]]:
    return found(GOOD.format(content))


def message(html: str, *, subject: str = "News") -> bytes:
    return Skeleton(sender="a@acme.example", seed="seed", has_text=True, has_html=True).build(
        to="b@example.com",
        subject=subject,
        message_id="<1@acme.example>",
        date=datetime(2026, 11, 21, tzinfo=UTC),
        text="Hello",
        html=html,
    )


def test_a_message_that_is_in_order_has_no_findings() -> None:
    good = GOOD.format('<img src="https://a.example/x.png" alt=""><a href="http://a.example">x</a>')
    assert lint("News", "Hello {name}", good, len(good)) == []
    assert lint("News", "Hello", None, 0) == []


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ('<img src="cid:logo">', "image-without-alt"),
        ('<IMG SRC="https://a.example/x.png"/>', "image-without-alt"),
        ('<img alt="x" src="http://a.example/x.png">', "image-http"),
        ('<img alt="x" src=" HTTP://a.example/x.png">', "image-http"),
        ("<script>alert(1)</script>", "script"),
        ('<form action="https://a.example"></form>', "form"),
        ('<link rel="stylesheet" href="https://a.example/x.css">', "external-css"),
        ("<style>@import url(https://a.example/x.css);</style>", "external-css"),
        ("Hello {{ name }}", "braces-left"),
    ],
)
def test_each_rule_names_the_line(content: str, rule: str) -> None:
    assert in_body(content) == [(rule, 5)]


@pytest.mark.parametrize(
    "content",
    [
        '<!-- <img src="x"> <script></script> -->',
        '<link rel="icon" href="https://a.example/x.png">',
        "<style>img { border: 0 }</style>",
        "&lt;script&gt; and { { braces } }",
    ],
)
def test_what_only_looks_like_a_finding_is_none(content: str) -> None:
    assert in_body(content) == []


@pytest.mark.parametrize(
    ("html", "rules"),
    [
        ("<p>Hello</p>", ["no-lang", "no-title"]),
        ('<html lang=""><title> </title>', ["no-lang", "no-title"]),
        ('<html lang="de"><title>Neues</title>', []),
        ("<html lang='de'><head><title></title>", ["no-title"]),
    ],
)
def test_language_and_title_have_to_be_there(html: str, rules: list[str]) -> None:
    assert [rule for rule, _ in found(html)] == rules


def test_a_subject_is_neither_empty_nor_longer_than_clients_show() -> None:
    assert [finding.rule for finding in lint(" ", "x", None, 0)] == ["subject-empty"]
    assert [finding.rule for finding in lint("x" * LONGEST_SUBJECT, "x", None, 0)] == []
    assert [finding.rule for finding in lint("x" * (LONGEST_SUBJECT + 1), "x", None, 0)] == ["subject-long"]
    assert [finding.rule for finding in lint("Hello {{ name }}", "x", None, 0)] == ["braces-left"]


def test_left_over_braces_are_found_in_the_line_of_their_part() -> None:
    assert lint("News", "Hello\n{{ name }}", None, 0) == [Finding("braces-left", "the text part has {{ in it", 2)]


def test_html_that_gmail_cuts_is_found_by_its_size() -> None:
    html = GOOD.format("x" * LARGEST_HTML)
    assert [finding.rule for finding in lint("News", None, html, len(html))] == ["too-large"]
    assert lint("News", None, GOOD, LARGEST_HTML) == []


def test_every_rule_says_how_to_mend_it() -> None:
    bad = (
        '<script></script><form></form><img src="http://a.example/x"><link rel=stylesheet href=x>'
        "<style>@import 'x'</style>{{ x }}"
    )
    rules = {finding.rule for finding in lint("", None, bad, LARGEST_HTML + 1)}
    rules |= {finding.rule for finding in lint("x" * 99, None, None, 0)}
    assert rules == set(FIXES)


@given(st.text(max_size=200), st.text(max_size=500))
def test_nothing_that_a_row_can_make_breaks_it(subject: str, html: str) -> None:
    assert {finding.rule for finding in lint(subject, html, html, len(html))} <= set(FIXES)


_PIECES = ["<img", ' alt="', '"', ">", "<!--", "-->", "<title>", "</title>", "<script>", "</script>", "x", "<p>", "\n"]


@given(st.lists(st.lists(st.sampled_from(_PIECES), max_size=12), max_size=6))
def test_what_is_remembered_of_other_messages_changes_no_rule(bodies: list[list[str]]) -> None:
    linter = Linter()
    for body in bodies:
        html = "<p>" + "".join(body)
        alone = Linter().lint(message(html))
        assert [one.rule for one in linter.lint(message(html))] == [one.rule for one in alone]


def test_a_finished_message_is_read_as_a_person_reads_it() -> None:
    content = message(
        "<p>Grüße\r\n</p>", subject="Grüße und ein langer Betreff, der ganz sicher zwei Zeilen braucht – ja"
    )
    subject, text, html = read_parts(content)
    assert subject == "Grüße und ein langer Betreff, der ganz sicher zwei Zeilen braucht – ja"
    assert text is not None
    assert text.strip() == "Hello"
    assert html is not None
    assert "<p>Grüße" in html


def test_attachments_are_not_linted() -> None:
    part = b'Content-Type: text/html\r\nContent-Disposition: attachment; filename="a.html"\r\n\r\n<script></script>\r\n'
    content = (
        b"Subject: News\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n--b\r\n" + part + b"--b--\r\n"
    )
    assert Linter().lint(content) == []


def test_a_tally_counts_messages_and_keeps_the_first_place() -> None:
    tally = LintTally()
    image, title = Finding("image-without-alt", "an image has no alt text", 4), Finding("no-title", "no title")
    tally.add(1, [title])
    tally.add(7, [image, Finding(image.rule, image.message, 9)])
    for row in range(8, 1208):
        tally.add(row, [image])
    first, second = (entry.warning() for entry in tally.entries())
    assert (first.code, first.message) == ("W304", "an image has no alt text (1 201 messages)")
    assert first.where == "row 7, HTML part, line 4, 9"
    assert first.hint == FIXES["image-without-alt"]
    assert (second.message, second.where) == ("no title (1 message)", "row 1")


@pytest.mark.parametrize(
    "head",
    [
        b"Subject: =?; charset=\xff''utf-7?b?aGk=?=",
        b"Subject: =?no-such?q?x?=",
        b"Subject: =?utf-8?b?x?=",
        b"Subject: hi\r\nContent-Type: text/plain; charset*=utf-8''x%00y",
        b"Subject: hi\r\nContent-Type: text/plain; charset*=no-such''utf-8\r\nContent-Transfer-Encoding: 8bit",
        b"Subject: hi\r\nContent-Type: text/plain; charset*0*=''a; charset*1=b\r\nContent-Transfer-Encoding: base64",
    ],
)
def test_a_header_that_cannot_be_decoded_is_looked_at_as_it_is(head: bytes) -> None:
    """Whatever the standard library raises, a message has a subject and a text part."""
    subject, text, _ = read_parts(head + b"\r\n\r\nHello\xfc\r\n")
    assert subject
    assert text is not None
