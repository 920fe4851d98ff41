"""A message is taken apart whatever it is made of, and what comes out is safe to show and to save."""

from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.web.opened import open_message, safe_name, visible
from tests.web.asking import PNG, letter


def test_headers_text_html_and_parts_are_decoded() -> None:
    content = letter("Grüße aus Ulm", html="<p>Hallo Jürgen</p>", attachment=("Liste für Ann.html", b"<b>"))
    opened = open_message(content)
    assert opened.subject == "Grüße aus Ulm"
    assert opened.header("to") == "Ann <ann@example.com>"
    assert (opened.text or "").splitlines() == ["Hello Ann,", "", "this is our letter."]
    assert (opened.html or "").strip() == "<p>Hallo Jürgen</p>"
    assert [(part.content_type, part.name) for part in opened.parts] == [
        ("text/plain", None),
        ("text/html", None),
        ("image/png", "logo.png"),
        ("text/html", "Liste für Ann.html"),
    ]
    assert opened.parts[3].is_attachment
    assert opened.parts[2].content == PNG
    assert opened.parts[2].content_id == "logo"
    assert [part.number for part in opened.parts] == [1, 2, 3, 4]


def test_a_forwarded_message_is_one_part() -> None:
    outer, inner = EmailMessage(), EmailMessage()
    inner["Subject"] = "inner"
    inner.set_content("inside")
    outer.set_content("outside")
    outer.add_attachment(inner)
    opened = open_message(outer.as_bytes())
    assert (opened.text or "").strip() == "outside"
    assert [part.content_type for part in opened.parts] == ["text/plain", "message/rfc822"]
    assert b"Subject: inner" in opened.parts[1].content


@pytest.mark.parametrize("charset", ["idna", "punycode", "rot13", "undefined", "no-such-thing", "utf-7", "x" * 500])
def test_a_charset_that_is_none_does_no_harm(charset: str) -> None:
    content = f"Content-Type: text/plain; charset={charset}\r\n\r\nhello +2AA-".encode()
    assert (open_message(content).text or "").startswith("hello")
    (open_message(content).text or "").encode()


def test_a_header_whose_charset_is_none_is_shown_as_it_is() -> None:
    content = b"Subject: =?; charset=\xff''utf-7?b?aGk=?=\r\n\r\nhello\r\n"
    assert "charset" in open_message(content).subject


def test_a_nesting_without_end_is_shown_as_text() -> None:
    layers = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(3000))
    opened = open_message(layers)
    assert opened.parts == ()
    assert (opened.text or "").startswith("Content-Type: multipart/mixed")


@given(st.binary(max_size=400))
def test_any_bytes_are_a_message(content: bytes) -> None:
    opened = open_message(content)
    assert (opened.text or "").encode() is not None
    for part in opened.parts:
        assert part.file_name


@given(
    st.lists(
        st.sampled_from(
            [
                b"Content-Type: multipart/mixed; boundary=x\r\n",
                b"Content-Type: text/html; charset*=utf-16''%ff\r\n",
                b"Content-Type: message/rfc822\r\n",
                b"Content-Disposition: attachment; filename*0*=x'y'%; filename*1=..\r\n",
                b"Content-Transfer-Encoding: base64\r\n",
                b"Content-Transfer-Encoding: x-uuencode\r\n",
                b"Content-ID: <\xff\r\n",
                b"Subject: =?utf-8?b?\xff?= =?x?q?=00?=\r\n",
                b"\r\n",
                b"--x\r\n",
                b"--x--\r\n",
                b"begin 666 x\r\n#\r\n",
                b"\xff\0<p>",
            ]
        ),
        max_size=14,
    )
)
def test_damaged_mime_is_a_message(lines: list[bytes]) -> None:
    opened = open_message(b"".join(lines))
    assert "\r" not in opened.subject
    for part in opened.parts:
        assert "/" not in part.file_name


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("invoice.pdf", "invoice.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\windows\\x.exe", "x.exe"),
        ("invoice\u202efdp.exe", "invoice fdp.exe"),
        ("a\r\nX: y", "a X_ y"),
        ("..", None),
        ("", None),
        ("x" * 400, "x" * 150),
    ],
)
def test_a_file_name_is_safe_to_save_under(name: str, safe: str | None) -> None:
    assert safe_name(name) == safe


def test_controls_and_direction_marks_can_be_seen() -> None:
    assert visible("a\x1b[31m\tb\r\nc\u202ed\x00") == "a␛[31m\tb\nc‹U+202E›d␀"
