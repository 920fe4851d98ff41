"""Tokens: read back by whoever has the secret, nothing to anybody else. Numbers are those of the bad-input corpus."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.policy.token import MAX_TOKEN, make_token, read_token

SECRET = b"a secret of thirty-two octets..."
CAMPAIGN, ADDRESS = "hello-7f3c", "ann@shop.example"
URL_SAFE = set(string.ascii_letters + string.digits + "-_")

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
addresses = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


@given(st.binary(min_size=1, max_size=64), names, addresses)
def test_what_is_put_in_is_read_back(secret: bytes, campaign: str, address: str) -> None:
    """Any campaign and address survive, and the token needs no escaping in a URL."""
    token = make_token(secret, campaign, address)

    assert set(token) <= URL_SAFE
    assert read_token(secret, token) == (campaign, address)
    assert token == make_token(secret, campaign, address)


# Corpus 151-155.
def test_no_changed_token_is_read() -> None:
    """Truncated, extended, or with any character replaced, it is no token."""
    token = make_token(SECRET, CAMPAIGN, ADDRESS)
    replaced = [
        token[:place] + letter + token[place + 1 :]
        for place in range(len(token))
        for letter in sorted(URL_SAFE)
        if letter != token[place]
    ]
    truncated = [token[:length] for length in range(len(token))]
    for changed in (*replaced, *truncated, f"{token}A", f"{token}=", f" {token}"):
        assert read_token(SECRET, changed) is None


def test_another_secret_reads_nothing() -> None:
    """The token of one secret is none under another (corpus 156: a key that is in rotation no more)."""
    assert read_token(b"another", make_token(SECRET, CAMPAIGN, ADDRESS)) is None


def test_a_token_says_nothing_about_the_address() -> None:
    """Neither the address nor what two recipients have in common can be seen in it."""
    first, second = make_token(SECRET, CAMPAIGN, ADDRESS), make_token(SECRET, CAMPAIGN, "bob@shop.example")

    assert "shop" not in first
    assert first[:8] != second[:8]
    assert first[24:34] != second[24:34]


def test_a_token_is_as_long_as_it_must_be() -> None:
    """The tag of 128 bits, the campaign, a separator and the address, in base64."""
    assert len(make_token(SECRET, CAMPAIGN, ADDRESS)) == -(-(16 + len(CAMPAIGN) + 1 + len(ADDRESS)) * 4 // 3)


@given(st.text(max_size=60) | st.text(st.sampled_from(sorted(URL_SAFE)), max_size=60))
def test_any_other_text_is_no_token(text: str) -> None:
    """Garbage of any kind is answered with None and raises nothing."""
    assert read_token(SECRET, text) is None


# Corpus 158.
def test_a_token_of_any_length_is_cut_off_before_it_is_read() -> None:
    """What is longer than any token of ours is not decoded."""
    assert read_token(SECRET, "A" * 10_000) is None
    assert len(make_token(SECRET, "c" * 64, "a" * 254)) < MAX_TOKEN


def test_an_empty_secret_makes_no_token() -> None:
    """A token that everybody could forge is not made, and not read."""
    with pytest.raises(ValueError, match="secret"):
        make_token(b"", CAMPAIGN, ADDRESS)
    assert read_token(b"", "AAAA") is None
