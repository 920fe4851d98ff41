"""Bodies: what is known of their lines changes no byte of them, wherever the pieces of a template meet."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.policy import body, quoted_printable
from mailer.policy.body import Blocks, Body
from mailer.policy.quoted_printable import BodyEncoder, encode_body

ends = st.sampled_from(["", "\n", "\r", "\r\n", "\n\n", "cid", "cid:", ":x", "=", " ", "\t\n", "."])
short = st.text(st.sampled_from("a =.\t\r\né€:cid"), max_size=12)
long = st.builds(lambda line, times, end: (line + "\n") * times + end, short, st.integers(5, 40), ends)
pieces = st.lists(st.one_of(ends, short, long), max_size=8)


@given(st.lists(pieces, max_size=4), st.sampled_from([1, 20, 200]))
def test_pieces_make_the_same_bytes_as_their_text(texts: list[list[str]], length: int) -> None:
    blocks, encoder, kept = Blocks(), BodyEncoder(), body.LONG
    body.LONG = length
    try:
        for written in [*texts, *texts]:
            made, text = blocks.body(written), "".join(written)
            assert made == text
            assert encoder.encode(made) == encode_body(text)
            assert made.has("cid:") == ("cid:" in text)
    finally:
        body.LONG = kept


def test_a_long_piece_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[str] = []

    def counting(text: str) -> bytes:
        encoded.append(text)
        return encode_body(text)

    monkeypatch.setattr(quoted_printable, "encode_body", counting)
    blocks, encoder, words = Blocks(), BodyEncoder(), ",\n" + "the same words\n" * 50
    for name in ("Ann", "Bob", "Cid"):
        assert encoder.encode(blocks.body(["Dear ", name, words])) == encode_body(f"Dear {name}{words}")
    assert [text[:5] for text in encoded if len(text) > 100] == ["the s"]


def test_what_is_made_of_a_body_is_text_of_its_own() -> None:
    made = Blocks().body(["Dear Ann,\n" + "the same words\n" * 50])
    changed = made.replace("same", "other")
    assert not isinstance(changed, Body)
    assert BodyEncoder().encode(changed) == encode_body(changed)


def test_the_memory_of_pieces_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "MAX_KEPT", 2_000)
    blocks = Blocks()
    for number in range(50):
        blocks.body([f"{number}\n" * 200])
        assert sum(map(len, blocks._known)) <= 2_000 + 600


def test_threads_may_share_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "MAX_KEPT", 1_000)
    blocks, encoder, wrong = Blocks(), BodyEncoder(), list[str]()

    def write(name: str) -> None:
        for number in range(300):
            text = f"{name} {number % 7}\n" * 60
            if encoder.encode(blocks.body(["a ", text, "\nb"])) != encode_body(f"a {text}\nb"):
                wrong.append(text)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_lone_surrogate_in_a_block_is_named() -> None:
    made = Blocks().body(["fine\n" * 50 + "b\ud800\n"])
    with pytest.raises(UnicodeEncodeError) as caught:
        BodyEncoder().encode(made)
    assert caught.value.object[caught.value.start] == "\ud800"
