from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.backends.smtp.reply_reader import MAX_LINE, MAX_REPLY, MalformedReplyError, ReplyReader
from mailer.vocabulary.reply import Reply

DIALOGUE = b"250-first\r\n250-2.1.0 second\r\n250 third\r\n550 5.1.1 no\r\n354\r\n"
REPLIES = [Reply(250, "2.1.0", "first second third"), Reply(550, "5.1.1", "no"), Reply(354, None, "")]


def read(data: bytes) -> list[Reply]:
    return list(ReplyReader().feed(data))


@given(st.sets(st.integers(0, len(DIALOGUE))))
def test_replies_do_not_depend_on_how_the_network_cuts_them(cuts: set[int]) -> None:
    reader = ReplyReader()
    edges = [0, *sorted(cuts), len(DIALOGUE)]
    pieces = [DIALOGUE[start:end] for start, end in pairwise(edges)]
    assert [reply for piece in pieces for reply in reader.feed(piece)] == REPLIES


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"250 ok \xff\r\n", "ok \\xff"),
        (b"250 \x1b[2Jok\x00\r\n", "[2Jok"),
        (b"250 <script>\r\n", "<script>"),
        (b"250 bare line feed\n", "bare line feed"),
        (b"250\r\n", ""),
    ],
)
def test_strange_text_does_not_matter_and_is_made_safe(line: bytes, text: str) -> None:
    assert read(line) == [Reply(250, None, text)]


@pytest.mark.parametrize(
    "line",
    [
        b"OK queued\r\n",
        b"999 x\r\n",
        b"199 x\r\n",
        b"25\r\n",
        b"2500 x\r\n",
        b"\r\n",
        b"\x00250 ok\r\n",
        b"250-first\r\n251 second\r\n",
        b"250 " + b"x" * MAX_LINE + b"\r\n",
        b"x" * (MAX_LINE + 1),
        (b"250-" + b"x" * 60 + b"\r\n") * (MAX_REPLY // 60),
    ],
)
def test_what_is_no_reply_is_an_error(line: bytes) -> None:
    with pytest.raises(MalformedReplyError):
        read(line)


def test_replies_before_the_malformed_one_are_read() -> None:
    replies = ReplyReader().feed(b"250 first\r\nrubbish\r\n")
    assert next(replies) == Reply(250, None, "first")
    with pytest.raises(MalformedReplyError):
        next(replies)


def test_a_reply_that_is_not_complete_is_none() -> None:
    assert read(b"250-first\r\n250") == []


@given(st.binary(max_size=300))
def test_no_bytes_at_all_make_it_raise_anything_else(data: bytes) -> None:
    try:
        for reply in read(data):
            assert 200 <= reply.code <= 599
    except MalformedReplyError:
        pass
