"""Headers: what was meant is what a reader gets, whatever a row holds. Numbers are those of the bad-input corpus."""

import re
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.headerregistry import AddressHeader, UnstructuredHeader
from email.utils import parseaddr

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailer.policy.encoded_words import MAX_WORD, encode_words
from mailer.policy.header_values import UnsafeValueError, check_value
from mailer.policy.headers import check_header_names, encode_header, encode_parameter, encode_text, encode_verbatim
from mailer.policy.mailbox import encode_list_id, encode_mailbox, parse_mailbox
from mailer.vocabulary.errors import TemplateError

UNSAFE = "".join(map(chr, range(32))) + "\x7f\x85\u2028\u2029"
characters = st.characters(exclude_categories=["Cs"], exclude_characters=UNSAFE)
texts = st.text(characters, max_size=300).filter(lambda text: re.search(r"=\?.*\?=", text) is None)
names = texts.map(str.strip).filter(
    lambda name: 0 < len(name) <= 200 and not re.search("[\u202a-\u202e\u2066-\u2069]", name)
)
addresses = st.from_regex(
    r"[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,30}(\.[a-z0-9-]{1,30})?@[a-z0-9]{1,40}\.(test|xn--p1ai)", fullmatch=True
)


def lines_of(header: bytes) -> list[bytes]:
    """The lines of a header, which must be well formed."""
    assert header.endswith(b"\r\n")
    lines = header[:-2].split(b"\r\n")
    assert all(line.strip() and not set(line) & {0, 10, 13} for line in lines)
    assert all(line.startswith(b" ") for line in lines[1:])
    assert max(map(len, lines)) <= 998
    return lines


def unfolded(header: bytes) -> str:
    return "".join(line.decode() for line in lines_of(header)).partition(": ")[2]


def read(header: bytes) -> str:
    """The value as the standard library's older parser decodes it."""
    return str(make_header(decode_header(unfolded(header))))


@given(texts)
@example("")
@example(" leading and trailing ")
@example("two  spaces and a =? in it")
@example("Grüße aus Köln, " * 20)
@example("日本語の件名" * 30)
@example("x" * 900)
@example("x" * 5_000)
@example("😀" * 100)
@example("word " * 1_000 + "end")
def test_any_subject_reads_as_it_was_written(subject: str) -> None:
    header = encode_text("Subject", subject)

    if subject.isascii() or subject.strip(" "):
        assert read(header) == subject
    assert header.isascii()


@given(texts)
def test_the_newer_parser_reads_the_same_subject(subject: str) -> None:
    message = message_from_bytes(encode_text("Subject", f"[{subject}]") + b"\r\n", policy=policy.default)

    assert isinstance(message["Subject"], UnstructuredHeader)
    assert message.keys() == ["Subject"]
    assert str(message["Subject"]) == f"[{subject}]"


@given(texts, st.integers(1, 60))
def test_lines_stay_short_where_they_can_be_folded(value: str, length: int) -> None:
    lines = lines_of(encode_text("X" * length, value))

    words = re.findall(" *[^ ]+", value)
    longest = max(map(len, words), default=0) if value.isascii() else 0
    assert max(map(len, lines)) <= max(78, length + 2 + max(longest, 24))


@given(st.text(characters, min_size=1, max_size=200), st.integers(0, 80))
def test_encoded_words_are_short_and_whole(text: str, room: int) -> None:
    words = encode_words(text, first_room=room)

    assert all(len(word) <= MAX_WORD for word in words)
    assert len(words[0]) <= max(room, 24)
    decoded = [str(make_header(decode_header(word))) for word in words]
    assert "".join(decoded) == text, "each word must decode on its own"


def test_text_that_is_nearly_ascii_stays_legible() -> None:
    assert encode_text("Subject", "Zoë, your letter") == b"Subject: =?utf-8?q?Zo=C3=AB=2C_your_letter?=\r\n"


def test_text_of_other_scripts_is_shorter_in_base64() -> None:
    assert b"=?utf-8?b?" in encode_text("Subject", "日本語の件名")


@given(names, addresses)
@example('"q" <z@evil.test>', "jane@acme.example")
@example("Doe, Jane (Sales); the <best>", "jane@acme.example")
@example('back\\slash and "quote', "jane@acme.example")
@example("a  b", "jane@acme.example")
@example("x" * 200, "a" * 30 + "@b.test")
def test_any_name_makes_exactly_one_mailbox_and_it_is_ours(name: str, address: str) -> None:
    header = encode_mailbox("To", f"{name} <{address}>")

    lines_of(header)
    message = message_from_bytes(header + b"\r\n", policy=policy.default)
    assert isinstance(message["To"], AddressHeader)
    assert [mailbox.addr_spec for mailbox in message["To"].addresses] == [address]
    # That parser, in some versions, puts a space between encoded words; the older one reads the name itself.
    shown = str(make_header(decode_header(parseaddr(unfolded(header))[0])))
    assert shown == parse_mailbox(f"{name} <{address}>")[0]


@given(names, addresses)
def test_the_address_of_a_mailbox_is_the_last_in_brackets(name: str, address: str) -> None:
    assert parse_mailbox(f"{name} <{address}>")[1] == address


@pytest.mark.parametrize(
    ("written", "header"),
    [
        ("jane@acme.example", b"To: jane@acme.example\r\n"),
        ("<jane@acme.example>", b"To: jane@acme.example\r\n"),
        ("Jane Doe <jane@acme.example>", b'To: "Jane Doe" <jane@acme.example>\r\n'),
        ('"Doe, Jane" <jane@acme.example>', b'To: "Doe, Jane" <jane@acme.example>\r\n'),
        (r'"Jane \"J\" Doe" <jane@acme.example>', b'To: "Jane \\"J\\" Doe" <jane@acme.example>\r\n'),
        ("Zoë <zoe@acme.example>", b"To: =?utf-8?q?Zo=C3=AB?= <zoe@acme.example>\r\n"),
        ('"a b"@acme.example', b'To: "a b"@acme.example\r\n'),
        ("josé@acme.example", "To: josé@acme.example\r\n".encode()),
        ("n" * 60 + " <jane@acme.example>", b'To: "' + b"n" * 60 + b'"\r\n <jane@acme.example>\r\n'),
    ],
)
def test_mailboxes_are_written_as_the_standard_has_them(written: str, header: bytes) -> None:
    assert encode_mailbox("To", written) == header


NOT_ONE_ADDRESS = """
Jane | jane@ | @b.test | a@b@c.test | a..b@c.test | .a@b.test | a b@c.test | <> | a@b.test> | <a@b.test | a@[127.0.0.1]
a@b.test, evil@x.test | a@b.test;c@d.test | grp: a@x.test, b@x.test; | Jane <jane@acme.example> x | a@bücher.test
alice@example.org(<bob@evil.test>) | alice@example.org,<bob@evil.test>, | "a@b.test | Jane\u202edoe <jane@acme.example>
"""


@pytest.mark.parametrize(
    "written",
    [
        *re.split(r" \| |\n", NOT_ONE_ADDRESS),
        "n" * 201 + " <jane@acme.example>",
        "a" * 250 + "@b.test",
        "é" * 125 + "@b.test",
        "(" * 3_000,
        '"' * 20_001,
    ],
)
def test_what_is_not_one_address_is_refused(written: str) -> None:
    with pytest.raises(UnsafeValueError, match=r"^the To "):
        encode_mailbox("To", written)


# Corpus 60-68 and 75: each value inside a longer one, in each kind of header.
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("x\r\nBcc: evil@x.test", "a carriage return (U+000D) at character"),
        ("x\nBcc: evil@x.test", "a line feed (U+000A)"),
        ("x\rBcc: evil@x.test", "a carriage return (U+000D)"),
        ("x\x0by", "U+000B"),
        ("x\x0cy", "U+000C"),
        ("x\x85y", "a next-line control (U+0085)"),
        ("x\u2028y", "a line separator (U+2028)"),
        ("x\u2029y", "a paragraph separator (U+2029)"),
        ("a\0b", "NUL (U+0000)"),
        ("a\x7fb", "U+007F"),
        ("a\udcffb", "a lone surrogate (U+DCFF)"),
        ("=?utf-8?q?x=0D=0ABcc=3A_evil=40x?=", "an encoded word (=?...?=)"),
        ("=?utf-8?q?a?= " * 3_000, ""),
        ("x" * 300_000, "is 30000"),
    ],
)
def test_a_value_that_could_break_a_header_is_refused_by_name(value: str, said: str) -> None:
    for encode in (
        lambda: encode_text("Subject", f"Hello {value}!"),
        lambda: encode_verbatim("List-Unsubscribe", f"<https://acme.example/{value}>"),
        lambda: encode_mailbox("To", f"{value} <jane@acme.example>"),
        lambda: encode_list_id(f"{value} <news.acme.example>"),
        lambda: encode_parameter("filename", f"{value}.pdf"),
    ):
        with pytest.raises(UnsafeValueError) as refusal:
            encode()
        assert said in str(refusal.value) or "characters long" in str(refusal.value)


@given(st.text(max_size=30), st.sampled_from(UNSAFE), st.text(max_size=30))
def test_no_control_character_gets_through(before: str, unsafe: str, after: str) -> None:
    with pytest.raises(UnsafeValueError):
        check_value("Subject", before + unsafe + after)


def test_a_direction_override_in_a_subject_is_only_text() -> None:
    assert read(encode_text("Subject", "invoice\u202efdp.exe")) == "invoice\u202efdp.exe"


@pytest.mark.parametrize("length", [78, 200, 900])
def test_an_unsubscribe_url_goes_out_byte_for_byte(length: int) -> None:
    value = f"<https://acme.example/{'t' * (length - 23)}>"

    assert encode_header("List-Unsubscribe", value) == f"List-Unsubscribe: {value}\r\n".encode()


@pytest.mark.parametrize("value", ["<https://acme.example/é>", "<https://acme.example/" + "t" * 980 + ">"])
def test_a_url_that_cannot_go_verbatim_is_refused(value: str) -> None:
    with pytest.raises(UnsafeValueError, match="the List-Unsubscribe "):
        encode_header("List-Unsubscribe", value)


def test_a_list_id_has_its_identifier_in_brackets() -> None:
    assert encode_list_id("news.acme.example") == b"List-ID: <news.acme.example>\r\n"
    assert encode_list_id("<news.acme.example>") == b"List-ID: <news.acme.example>\r\n"
    assert encode_list_id("Acme News <news.acme.example>") == b'List-ID: "Acme News" <news.acme.example>\r\n'
    with pytest.raises(UnsafeValueError):
        encode_list_id("news")


@pytest.mark.parametrize(
    "name", ["X-Campaign", "Feedback-ID", "List-Help", "Sender", "Precedence", "Auto-Submitted", "X" * 60]
)
def test_a_campaign_may_add_headers(name: str) -> None:
    check_header_names((name, "X-Other"))


# Corpus 72-74 and 78.
NOT_A_CAMPAIGNS = """
From SUBJECT to Bcc Cc Message-ID Date MIME-Version Content-Type content-disposition DKIM-Signature Return-Path
Received Resent-To ARC-Seal Reply-To List-ID List-Unsubscribe-Post
"""


@pytest.mark.parametrize(
    "names",
    [
        *((name,) for name in ("X-A\r\nBcc", "X: y", "X Y", "X-é", "X" * 61, "X\0", "")),
        *((name,) for name in NOT_A_CAMPAIGNS.split()),
        ("X-A", "X-B", "x-a"),
    ],
)
def test_a_campaign_may_not_add_ours_or_the_relays_or_one_twice(names: tuple[str, ...]) -> None:
    with pytest.raises(TemplateError) as error:
        check_header_names(names)
    assert error.value.code == "E306"


@given(texts)
@example("invoice.pdf")
@example('a "quoted" name.pdf')
@example("Rechnung für März.pdf")
@example("請求書" * 40 + ".pdf")
def test_a_file_name_reads_as_it_was_written(name: str) -> None:
    name = f"a{name}z"  # a reader may take `<>` around all of it for quotes
    header = b"Content-Disposition: attachment" + encode_parameter("filename", name).encode("ascii") + b"\r\n"

    assert max(map(len, lines_of(header))) <= 78
    message = message_from_bytes(header + b"\r\n")
    assert message.get_filename() == name
