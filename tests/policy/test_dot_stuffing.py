"""The wire form of a message: every leading dot doubled, one end of data, nothing else changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.policy.dot_stuffing import dot_stuff, is_complete, size_of, unstuff
from mailer.policy.quoted_printable import encode_body

lines = st.lists(st.sampled_from([b"", b".", b"..", b".x", b"x.", b"plain", b". .", b"...."]), max_size=12)


def read(wire: bytes) -> bytes:
    """What a server reads (RFC 5321 section 4.5.2)."""
    content, end, after = (b"\r\n" + wire).partition(b"\r\n.\r\n")
    assert end, "the data never ends"
    assert after == b"", "something follows the end of the data"
    return (content + b"\r\n").replace(b"\r\n.", b"\r\n")[2:]


@pytest.mark.parametrize(
    ("content", "wire"),
    [
        (b"", b".\r\n"),
        (b"a\r\n", b"a\r\n.\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b".", b"..\r\n.\r\n"),
        (b"..a\r\n", b"...a\r\n.\r\n"),
        (b"a\r\n.\r\nMAIL FROM:<e@x>\r\n", b"a\r\n..\r\nMAIL FROM:<e@x>\r\n.\r\n"),
        (b"\r\n.\r\n.\r\n", b"\r\n..\r\n..\r\n.\r\n"),
        (b"a.b\r\n", b"a.b\r\n.\r\n"),
    ],
)
def test_leading_dots_are_doubled_and_the_data_ends_once(content: bytes, wire: bytes) -> None:
    assert dot_stuff(content) == wire


@given(lines)
def test_a_server_reads_what_was_stuffed(some: list[bytes]) -> None:
    content = b"".join(line + b"\r\n" for line in some)

    data = dot_stuff(content)

    assert read(data) == unstuff(data) == content
    assert size_of(data) >= size_of(data, limit=0) == len(content)
    assert is_complete(data)


@given(lines)
def test_a_part_of_it_is_not_complete(some: list[bytes]) -> None:
    data = dot_stuff(b"Subject: x\r\n" + b"".join(line + b"\r\n" for line in some))

    assert not any(map(is_complete, (b"", data[:-1], data[:-2], data[:-3])))


@given(lines)
def test_a_last_line_without_its_end_gets_one(some: list[bytes]) -> None:
    content = b"\r\n".join([*some, b"end"])

    assert read(dot_stuff(content)) == content + b"\r\n"


# Corpus 79-85: what ends the data early on some server, in a body of ours.
@pytest.mark.parametrize(
    "end",
    ["\r\n.\r\n", "\n.\n", "\r.\r", "\n.\r\n", "\r\n.\n", "\r.\r\n", "\r\n.\r", "\n\n.\r\n", "\r\n.\0\r\n", ".\0\r\n"],
)
def test_no_body_ends_the_data_early(end: str) -> None:
    wire = dot_stuff(b"Subject: x\r\n\r\n" + encode_body(f"one{end}MAIL FROM:<evil@x.test>{end}"))

    assert wire.count(b"\r\n.\r\n") == 1
    assert wire.count(b"\n.\n") == wire.count(b"\r.\r") == wire.count(b"\0") == 0
    assert wire.replace(b"\r\n", b"").count(b"\r") == wire.replace(b"\r\n", b"").count(b"\n") == 0
