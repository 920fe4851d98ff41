"""Messages as frames: small, independent, and never read as something else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.backends.redis.frames import Frames
from mailer.policy.dot_stuffing import dot_stuff

REFERENCE = b"Subject: news\r\n\r\nDear reader, " + b"this is what we wrote this week. " * 40


@given(st.binary(max_size=2_000), st.binary(max_size=2_000))
def test_what_goes_in_comes_out(reference: bytes, content: bytes) -> None:
    assert Frames(reference).restore(Frames(reference).compress(content)) == dot_stuff(content)


def test_a_message_like_the_reference_takes_a_few_bytes() -> None:
    frames = Frames(REFERENCE)
    assert len(frames.compress(REFERENCE.replace(b"reader", b"Ann"))) < 60


def test_every_frame_stands_alone() -> None:
    frames = Frames(REFERENCE)
    written = {row: frames.compress(REFERENCE + b"%d" % row) for row in range(20)}
    for row in reversed(written):
        assert frames.restore(written[row]) == dot_stuff(REFERENCE + b"%d" % row)


def test_a_damaged_frame_is_an_error() -> None:
    frames = Frames(REFERENCE)
    frame = frames.compress(REFERENCE + b"and a personal word")
    for length in range(len(frame)):
        with pytest.raises(ValueError, match="damaged frame"):
            frames.restore(frame[:length])
    for garbage in (b"\0" * 30, b"no frame at all", b"\x80\x04\x95.", frame[4:] + frame[:4]):
        with pytest.raises(ValueError, match="damaged frame"):
            frames.restore(garbage)


def test_a_frame_that_would_fill_the_memory_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailer.backends.redis.zstd.MAX_SIZE", 1_000)
    with pytest.raises(ValueError, match="damaged frame"):
        Frames(b"").restore(Frames(b"").compress(b"x" * 1_001))
