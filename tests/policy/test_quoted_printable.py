"""Quoted-printable: an encoder that remembers lines makes what one without a memory makes."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.policy import quoted_printable
from mailer.policy.quoted_printable import BodyEncoder, encode_body

lines = st.text(st.one_of(st.sampled_from("a =.\t\r\né€"), st.characters(exclude_categories=["Cs"])), max_size=300)


@given(st.lists(lines, max_size=6))
def test_what_came_before_changes_no_byte(texts: list[str]) -> None:
    encoder = BodyEncoder()
    for text in [*texts, *texts, "\n".join(texts)]:
        assert encoder.encode(text) == encode_body(text)


@pytest.mark.parametrize(
    "text",
    ["", "\n", "\n\n", ".", ".\n.", "a ", "a \n\tb\t\n", "a\r\rb", "=" * 80, "x" * 76, "x" * 75 + " ", "\r\n."],
)
def test_edges_are_encoded_alike(text: str) -> None:
    encoder = BodyEncoder()
    assert encoder.encode(text) == encoder.encode(text) == encode_body(text)


def test_the_memory_of_lines_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quoted_printable, "MAX_KEPT", 100)
    encoder = BodyEncoder()
    for number in range(50):
        assert encoder.encode(f"line {number}\nthe same\n") == encode_body(f"line {number}\nthe same\n")
        assert sum(map(len, encoder._lines)) <= 100 + len("the same")


def test_threads_may_share_an_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quoted_printable, "MAX_KEPT", 50)
    encoder, wrong = BodyEncoder(), list[str]()

    def encode(name: str) -> None:
        texts = [f"{name} {number}\nsame\n" for number in range(500)]
        wrong.extend(text for text in texts if encoder.encode(text) != encode_body(text))

    threads = [threading.Thread(target=encode, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_lone_surrogate_is_named_also_behind_known_lines() -> None:
    encoder = BodyEncoder()
    encoder.encode("known\n")
    with pytest.raises(UnicodeEncodeError) as caught:
        encoder.encode("known\nb\ud800\n")
    assert caught.value.object[caught.value.start] == "\ud800"
