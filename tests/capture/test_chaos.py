"""Promises of the chaos addresses: what the table in the manual says, and nothing for any other address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.capture.chaos import LONGEST_DELAY, ORDINARY, Behaviour, behaviour_of
from mailer.vocabulary.reply import Reply

UNKNOWN_USER = Behaviour(to_recipient="550 5.1.1 unknown user")
GREYLISTED = Behaviour(to_recipient="451 4.7.1 greylisted, try again later", only_once=True)


@pytest.mark.parametrize(
    ("address", "behaviour"),
    [
        ("bounce+550@example.com", UNKNOWN_USER),
        ("bounce+550-17@example.com", UNKNOWN_USER),
        ("bounce+550-a-b.c+d@example.com", UNKNOWN_USER),
        ("Bounce+550@Example.COM", UNKNOWN_USER),
        ("bounce+553@example.com", Behaviour(to_recipient="553 5.1.1 unknown user")),
        ("full+552@example.com", Behaviour(to_recipient="552 5.2.2 mailbox full")),
        ("full+552-2@example.com", Behaviour(to_recipient="552 5.2.2 mailbox full")),
        ("reject+554@example.com", Behaviour(to_message="554 5.7.1 message rejected")),
        ("defer+451@example.com", Behaviour(to_recipient="451 4.3.0 try again later")),
        ("defer+450-1@example.com", Behaviour(to_recipient="450 4.3.0 try again later")),
        ("greylist@example.com", GREYLISTED),
        ("greylist-2@example.com", GREYLISTED),
        ("slow+5s@example.com", Behaviour(delay=5.0)),
        ("slow+200ms-3@example.com", Behaviour(delay=0.2)),
        ("slow+1.5s@example.com", Behaviour(delay=1.5)),
        ("slow+9d@example.com", Behaviour(delay=LONGEST_DELAY)),
        ("drop@example.com", Behaviour(drops=True)),
        ("drop-99@example.com", Behaviour(drops=True)),
    ],
)
def test_the_local_part_says_how_an_address_is_treated(address: str, behaviour: Behaviour) -> None:
    assert behaviour_of(address) == behaviour


@pytest.mark.parametrize(
    "address",
    [
        "ann@example.com",
        "bounce@example.com",
        "bounce+450@example.com",
        "bounce+599@example.com",
        "bounce+5500@example.com",
        "bouncer+550@example.com",
        "x-bounce+550@example.com",
        "defer+550@example.com",
        "full+550@example.com",
        "reject+550@example.com",
        "greylist+1@example.com",
        "slow@example.com",
        "slow+5@example.com",
        "slow+0s@example.com",
        "slow+5parsec@example.com",
        "dropped@example.com",
        "ann@drop-1",
        "drop",
        '"drop"@example.com',
        "@",
        "",
    ],
)
def test_any_other_address_is_accepted_at_once(address: str) -> None:
    assert behaviour_of(address) == ORDINARY == Behaviour()


@given(st.from_regex(r"\A(bounce|defer)\+[0-9]{3}(-.*)?@example\.com\Z"))
def test_a_refusal_always_has_the_enhanced_code_of_its_class(address: str) -> None:
    line = behaviour_of(address).to_recipient
    if line is not None:
        reply = Reply.read(int(line[:3]), [line[4:].encode()])
        assert reply.enhanced_code is not None
        assert reply.enhanced_code[0] == line[0]
        assert reply.text


@given(st.text())
def test_no_address_is_too_strange(address: str) -> None:
    behaviour_of(address)
