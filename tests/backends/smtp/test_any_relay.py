"""The contract of a session, the same against four relays."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from time import monotonic

import pytest

from mailer.backends.smtp.pool import SmtpPool
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.route import Route
from mailer.vocabulary.transmission import Answered, Unsendable
from tests.backends.smtp.sending import CONTENT, GOOD, SETTINGS, Connect, send
from tests.relays import aiosmtpd_relay, postfix
from tests.relays.aiosmtpd_relay import AiosmtpdRelay
from tests.relays.postfix import Postfix
from tests.relays.scripted import ScriptedRelay
from tests.thorough import thorough

SPAM = b"Subject: offer\r\n\r\n" + postfix.SPAM + b"\r\n"


@dataclass
class AnyRelay:
    """A relay that refuses one recipient at RCPT and one message at the dot."""

    way: Route
    refused: str

    def route(self) -> Route:
        return self.way


@pytest.fixture(scope="module")
def running_postfix() -> Iterator[Postfix]:
    if (reason := postfix.reason_to_skip()) is not None:
        pytest.skip(reason)
    with Postfix() as relay:
        yield relay


@pytest.fixture(params=["scripted, pipelined", "scripted, command by command", "aiosmtpd", *thorough("postfix")])
async def any_relay(request: pytest.FixtureRequest) -> AsyncIterator[AnyRelay]:
    match request.param:
        case "postfix":
            yield AnyRelay(request.getfixturevalue("running_postfix").route(), postfix.REFUSED)
        case "aiosmtpd":
            async with AiosmtpdRelay() as relay:
                yield AnyRelay(relay.route(), aiosmtpd_relay.REFUSED)
        case name:
            async with ScriptedRelay(pipelining="pipelined" in name) as scripted:
                scripted.refuses_recipient(postfix.REFUSED)
                scripted.refuses_content(postfix.SPAM)
                yield AnyRelay(scripted.route(), postfix.REFUSED)


async def test_a_message_is_accepted(any_relay: AnyRelay, connect: Connect) -> None:
    session = await connect(any_relay)
    transmission = await send(session)
    answer = transmission.answers[GOOD]
    assert isinstance(answer, Answered)
    assert (answer.phase, answer.reply.code) == (Phase.DOT, 250)
    assert transmission.refused == {}
    assert transmission.tls == "TLSv1.3"
    assert transmission.relay == any_relay.way.relay
    assert transmission.seconds > 0
    assert session.is_reusable


async def test_a_refused_recipient_does_not_keep_the_message_from_the_others(
    any_relay: AnyRelay, connect: Connect
) -> None:
    session = await connect(any_relay)
    transmission = await send(session, any_relay.refused, GOOD)
    code, words = transmission.refused.pop(any_relay.refused)
    assert code == 550
    assert words.startswith("5.1.1")
    assert _phases(transmission.answers) == {any_relay.refused: Phase.RCPT, GOOD: Phase.DOT}
    assert session.is_reusable


async def test_after_a_total_refusal_the_connection_takes_the_next_message(
    any_relay: AnyRelay, connect: Connect
) -> None:
    session = await connect(any_relay)
    for _ in range(3):
        transmission = await send(session, any_relay.refused)
        assert list(transmission.refused) == [any_relay.refused]
        assert session.is_reusable
        transmission = await send(session)
        assert transmission.refused == {}
    assert transmission.connection_use == 6


async def test_after_a_refused_message_the_connection_takes_the_next(any_relay: AnyRelay, connect: Connect) -> None:
    session = await connect(any_relay)
    transmission = await send(session, content=SPAM)
    assert _phases(transmission.answers) == {GOOD: Phase.DOT}
    assert transmission.refused[GOOD][1].startswith("5.7.1")
    assert session.is_reusable
    assert (await send(session)).refused == {}


async def test_a_message_larger_than_the_relay_takes_is_not_offered(any_relay: AnyRelay, connect: Connect) -> None:
    session = await connect(any_relay)
    assert session.size_limit is not None
    transmission = await send(session, content=CONTENT + b"x" * session.size_limit)
    assert isinstance(transmission.answers[GOOD], Unsendable)
    assert (await send(session)).refused == {}


async def test_leading_dots_and_a_missing_last_line_end_arrive_well(any_relay: AnyRelay, connect: Connect) -> None:
    session = await connect(any_relay)
    transmission = await send(session, content=b".Subject: x\r\n\r\n.\r\n..\r\n.end")
    assert transmission.refused == {}
    assert (await send(session)).refused == {}


@pytest.mark.thorough
async def test_a_bad_list_makes_postfix_neither_slow_nor_hang_up(running_postfix: Postfix) -> None:
    # From the tenth refusal in a row on it waits a second before each reply; after twenty it says 421.
    refused = 0
    async with SmtpPool(running_postfix.route(), None, replace(SETTINGS, max_connections=1)) as pool:
        for number in range(100):
            recipient = GOOD if number % 5 in (0, 1) else postfix.REFUSED
            async with pool.session() as session:
                transmission = await send(session, recipient)
            for code, _ in transmission.refused.values():
                assert code == 550
                refused += 1
        started = monotonic()
        for _ in range(30):
            async with pool.session() as session:
                assert (await send(session, postfix.REFUSED)).refused[postfix.REFUSED][0] == 550
    assert refused == 60
    assert monotonic() - started < 5
    assert "too many errors" not in running_postfix.log


async def test_a_megabyte_goes_through(connect: Connect, relay: ScriptedRelay) -> None:
    content = CONTENT + b"0123456789\r\n" * 100_000
    transmission = await send(await connect(relay), content=content)
    assert transmission.refused == {}
    assert relay.deliveries[0].content == content


def _phases(answers: object) -> dict[str, Phase]:
    assert isinstance(answers, dict)
    return {address: answer.phase for address, answer in answers.items()}
