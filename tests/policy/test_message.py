"""Messages: the bytes that go out, read back by the standard library. Numbers are those of the bad-input corpus."""

import re
from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime, parsedate_to_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailer.policy.header_values import UnsafeValueError
from mailer.policy.message import Skeleton, format_date
from mailer.policy.message_id import message_id
from mailer.policy.quoted_printable import encode_body
from mailer.vocabulary.errors import TemplateError

NOW = datetime(2026, 11, 21, 7, 21, 28, tzinfo=UTC)
ID = "<abcdef@acme.example>"
TEXT = "Hello Zoë,\n\n.\nFrom the workshop: a = b  \nbye"
HTML = '<!DOCTYPE html>\n<p style="margin:0">Hello Zoë</p>\n'
URL = "https://acme.example/u/" + "t" * 150
BOTH = Skeleton(sender="Acme News <news@acme.example>", seed="autumn-7f3c", has_text=True, has_html=True)
TEXT_ONLY = Skeleton(sender="news@acme.example", seed="autumn-7f3c", has_text=True, has_html=False)
HTML_ONLY = Skeleton(sender="news@acme.example", seed="autumn-7f3c", has_text=False, has_html=True)

characters = st.characters(exclude_categories=["Cs"])
bodies = st.text(characters, max_size=400)
values = st.one_of(
    st.text(max_size=60), st.sampled_from(["x\r\nBcc: e@x", "=?utf-8?q?x=0D=0ABcc=3A_e?=", "a\nb", "a\0b"])
)


def build(skeleton: Skeleton = TEXT_ONLY, /, **more: object) -> bytes:
    given: dict[str, object] = {"to": "jane@acme.example", "subject": "News", "message_id": ID, "date": NOW}
    if skeleton is not HTML_ONLY:
        given["text"] = TEXT
    if skeleton is not TEXT_ONLY:
        given["html"] = HTML
    return skeleton.build(**(given | more))  # type: ignore[arg-type]


def parse(content: bytes) -> EmailMessage:
    """Read a message back; it must be well formed to the octet."""
    assert content.endswith(b"\r\n")
    lines = content[:-2].split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines), "a bare CR, LF or NUL"
    assert max(map(len, lines)) <= 998
    message = message_from_bytes(content, policy=policy.SMTP)
    assert isinstance(message, EmailMessage)
    assert all(not part.defects for part in message.walk())
    return message


def decoded(part: object) -> str:
    assert isinstance(part, EmailMessage)
    assert part["Content-Transfer-Encoding"] == "quoted-printable"
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content.decode("utf-8")


def on_the_wire(text: str) -> str:
    """The text with CRLF line ends, the last line ended."""
    lines = re.sub("\r\n|\r|\n", "\r\n", text)
    return lines if lines.endswith("\r\n") else lines + "\r\n"


def test_a_message_has_the_headers_meant_in_this_order() -> None:
    skeleton = Skeleton(
        sender="Acme News <news@acme.example>",
        seed="autumn-7f3c",
        has_text=True,
        has_html=True,
        reply_to="Office <office@acme.example>",
        list_id="news.acme.example",
    )
    content = build(skeleton, to="Zoë <zoe@acme.example>", headers=[("X-Campaign", "autumn")], unsubscribe_url=URL)

    assert parse(content).items() == [
        ("Date", "Sat, 21 Nov 2026 07:21:28 +0000"),
        ("From", "Acme News <news@acme.example>"),
        ("Reply-To", "Office <office@acme.example>"),
        ("List-ID", "<news.acme.example>"),
        ("To", "Zoë <zoe@acme.example>"),
        ("Subject", "News"),
        ("Message-ID", ID),
        ("X-Campaign", "autumn"),
        ("List-Unsubscribe", f"<{URL}>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("MIME-Version", "1.0"),
        ("Content-Type", 'multipart/alternative; boundary="=_b024bdfd9f74b8ccd315c6175b132f0c"'),
    ]


def test_text_comes_before_html() -> None:
    message = parse(build(BOTH))

    text, html = message.iter_parts()
    assert [part.get_content_type() for part in (text, html)] == ["text/plain", "text/html"]
    assert [part.get_content_charset() for part in (text, html)] == ["utf-8", "utf-8"]
    assert decoded(text) == on_the_wire(TEXT)
    assert decoded(html) == on_the_wire(HTML)


@pytest.mark.parametrize(
    ("skeleton", "kind", "body"), [(TEXT_ONLY, "text/plain", TEXT), (HTML_ONLY, "text/html", HTML)]
)
def test_one_part_needs_no_multipart(skeleton: Skeleton, kind: str, body: str) -> None:
    message = parse(build(skeleton))

    assert message.get_content_type() == kind
    assert decoded(message) == on_the_wire(body)


def test_a_reader_sees_what_the_standard_library_would_have_built() -> None:
    golden = EmailMessage()
    golden["Date"] = format_datetime(NOW)
    golden["From"] = "Acme News <news@acme.example>"
    golden["To"] = "Zoë <zoe@acme.example>"
    golden["Subject"] = "Schöne Grüße aus der Werkstatt, und noch etwas mehr, damit die Zeile lang wird"
    golden["Message-ID"] = ID
    golden.set_content(TEXT, cte="quoted-printable")
    golden.add_alternative(HTML, subtype="html", cte="quoted-printable")
    theirs = message_from_bytes(golden.as_bytes(policy=policy.SMTP), policy=policy.default)

    ours = parse(build(BOTH, to="Zoë <zoe@acme.example>", subject=golden["Subject"]))

    for name in ("Date", "From", "To", "Subject", "Message-ID", "MIME-Version"):
        assert ours[name] == theirs[name]
    assert ours.get_content_type() == theirs.get_content_type()
    for mine, other in zip(ours.walk(), theirs.walk(), strict=True):
        assert mine.get_content_type() == other.get_content_type()
        if not mine.is_multipart():
            assert decoded(mine).splitlines() == other.get_content().splitlines()


# Corpus 79-91.
@given(bodies, bodies)
@example("", "")
@example("\r\n.\r\nMAIL FROM:<e@x>", "\n.\n\r.\r\n.\r\n\r\n.\n")
@example(".\0\r\n", "....\n...")
@example("x" * 5_000, ("y" * 5_000 + "\n") * 2)
@example("From the beginning", "a \nb\t\n \n")
@example(
    "=_b024bdfd9f74b8ccd315c6175b132f0c",
    "--=_b024bdfd9f74b8ccd315c6175b132f0c--\n--=_b024bdfd9f74b8ccd315c6175b132f0c\n",
)
@example("日本語" * 300, "\u2028\x85\x0b\x0c\x1c")
def test_any_body_reads_as_it_was_written(text: str, html: str) -> None:
    message = parse(build(BOTH, text=text, html=html))

    parts = list(message.iter_parts())
    assert [decoded(part) for part in parts] == [on_the_wire(text), on_the_wire(html)]


@given(bodies)
def test_body_lines_are_short_and_hold_no_boundary(text: str) -> None:
    encoded = encode_body(text)

    assert max(map(len, encoded.split(b"\r\n"))) <= 76
    assert b"=_" not in encoded
    assert encoded.isascii()


@given(to=values, subject=values, header=values, reply_to=values, url=values)
@example("a\r\nBcc: x", "", "", "", "")
def test_no_value_adds_or_changes_a_header(to: str, subject: str, header: str, reply_to: str, url: str) -> None:
    for name, value in {"to": to, "subject": subject, "header": header, "reply_to": reply_to, "url": url}.items():
        chosen: dict[str, object] = {
            "to": f"{value} <jane@acme.example>" if name == "to" else "jane@acme.example",
            "subject": value if name == "subject" else "News",
            "headers": [("X-Value", value if name == "header" else "x"), ("List-Help", "<https://acme.example/help>")],
            "reply_to": f"{value} <office@acme.example>" if name == "reply_to" else "office@acme.example",
            "unsubscribe_url": f"https://acme.example/{value if name == 'url' else 'u'}",
        }
        try:
            content = build(**chosen)
        except UnsafeValueError:
            continue
        message = parse(content)
        assert ", ".join(message.keys()) == (
            "Date, From, To, Subject, Message-ID, Reply-To, X-Value, List-Help, List-Unsubscribe, "
            "List-Unsubscribe-Post, MIME-Version, Content-Type, Content-Transfer-Encoding"
        )
        assert decoded(message) == on_the_wire(TEXT)
        assert [mailbox.addr_spec for mailbox in message["To"].addresses] == ["jane@acme.example"]
        assert [mailbox.addr_spec for mailbox in message["Reply-To"].addresses] == ["office@acme.example"]


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"to": "Jane\r\nBcc: x <jane@acme.example>"}, "To"),
        ({"subject": "x\nBcc: y"}, "Subject"),
        ({"reply_to": "x"}, "Reply-To"),
        ({"headers": [("X-Value", "a\0b")]}, "X-Value"),
        ({"unsubscribe_url": "http://acme.example/u"}, "List-Unsubscribe"),
        ({"unsubscribe_url": "https://acme.example/u v"}, "List-Unsubscribe"),
        ({"unsubscribe_url": "https://acme.example/u>,<mailto:x@y"}, "List-Unsubscribe"),
        ({"unsubscribe_url": "https://acme.example/é"}, "List-Unsubscribe"),
        ({"message_id": "abc"}, "Message-ID"),
        ({"message_id": "<a@b>\r\nX: y"}, "Message-ID"),
        ({"text": "lone \udcff surrogate"}, "text part"),
    ],
)
def test_the_error_names_the_field(more: dict[str, object], field: str) -> None:
    with pytest.raises(UnsafeValueError) as error:
        build(**more)
    assert error.value.field == field
    assert str(error.value).startswith(f"the {field} ")


def test_one_click_needs_both_headers_and_the_url_as_it_is() -> None:
    content = build(unsubscribe_url=URL)

    assert f"\r\nList-Unsubscribe: <{URL}>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n".encode() in content


@pytest.mark.parametrize(
    "headers", [[("Bcc", "x@y.test")], [("X-A", "1"), ("x-a", "2")], [("List-Unsubscribe", "<mailto:x@y>")]]
)
def test_headers_that_are_not_a_campaigns_are_refused(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(TemplateError, match="the header"):
        build(headers=headers, unsubscribe_url=URL)


def test_an_address_that_is_not_ascii_stays_utf_8() -> None:
    assert "\r\nTo: josé@acme.example\r\n".encode() in build(to="josé@acme.example")


def test_equal_campaigns_make_equal_bytes() -> None:
    again = Skeleton(sender="Acme News <news@acme.example>", seed="autumn-7f3c", has_text=True, has_html=True)
    other = Skeleton(sender="Acme News <news@acme.example>", seed="winter-1a2b", has_text=True, has_html=True)

    assert build(again) == build(BOTH)
    assert parse(build(other)).get_boundary() != parse(build(BOTH)).get_boundary()


def test_the_parts_must_be_those_of_the_skeleton() -> None:
    with pytest.raises(ValueError, match="parts"):
        build(BOTH, html=None)
    with pytest.raises(ValueError, match="parts"):
        build(TEXT_ONLY, html=HTML)
    with pytest.raises(ValueError, match="part"):
        Skeleton(sender="a@b.test", seed="x", has_text=False, has_html=False)


def test_reply_to_is_given_once() -> None:
    skeleton = Skeleton(sender="a@b.test", seed="x", has_text=True, has_html=False, reply_to="c@d.test")

    with pytest.raises(ValueError, match="Reply-To"):
        skeleton.build(to="a@b.test", subject="x", message_id=ID, date=NOW, text="x", reply_to="e@f.test")


@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2199, 1, 1)), st.integers(-14 * 60, 14 * 60))
def test_a_date_is_the_same_moment_in_utc(moment: datetime, minutes: int) -> None:
    aware = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))

    text = format_date(aware).decode("ascii")

    assert text.endswith(" +0000")
    assert parsedate_to_datetime(text) == aware
    assert text == format_datetime(aware.astimezone(timezone(timedelta(0))))


def test_a_date_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        build(date=NOW.replace(tzinfo=None))


def test_a_message_id_is_the_same_on_every_attempt_and_nobody_elses() -> None:
    first = message_id(b"salt", "autumn-7f3c", "jane@acme.example", "acme.example")

    assert first == message_id(b"salt", "autumn-7f3c", "jane@acme.example", "acme.example")
    assert re.fullmatch(r"<[a-z2-7]{32}@acme\.example>", first), "160 bits"
    others = {
        message_id(b"other", "autumn-7f3c", "jane@acme.example", "acme.example"),
        message_id(b"salt", "winter-1a2b", "jane@acme.example", "acme.example"),
        message_id(b"salt", "autumn-7f3c", "joe@acme.example", "acme.example"),
        message_id(b"salt", "autumn-7f3", "cjane@acme.example", "acme.example"),
    }
    assert len(others | {first}) == 5
    assert parse(build(message_id=first))["Message-ID"] == first


@pytest.mark.parametrize("domain", ["", "acme example", "bücher.example", "a>b", "x\r\ny", "-a"])
def test_a_message_id_needs_a_domain(domain: str) -> None:
    with pytest.raises(ValueError, match="domain"):
        message_id(b"salt", "a", "b", domain)
