"""What is final is packed: it reads the same as before, and nothing that is still open is touched."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.backends.redis.entries import Entry, read_messages
from mailer.backends.redis.events import Event, event_of, frame, read_events
from mailer.backends.redis.ledgers import Ledgers
from mailer.backends.redis.packing import pack, unpack
from mailer.policy.dot_stuffing import unstuff
from mailer.vocabulary.chunk import Attempt
from mailer.vocabulary.outcome import Outcome
from mailer.vocabulary.recipient import State
from tests.ledger.campaigns import (
    FAILED,
    IN_DOUBT,
    REFUSED,
    RELEASED,
    SENT,
    checked,
    deferred,
    drafts,
    keys_of,
    message,
    records,
    running,
)
from tests.ledger.hands import hand

NOW = 1_750_000_000_000
TEXTS = st.one_of(
    st.none(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.sampled_from(
        [
            "Ok: queued as 4XyZ1234",
            "\0",
            "queued as A1\0B2",
            "two\nlines",
            "queued as 4XyZ1234 queued as 5AbC1234",
            "id=1abcde-0001-XX \0 id=2",
            "",
        ]
    ),
)
WORDS = st.none() | st.sampled_from(["policy", "unknown", "relay.test:587", "TLSv1.3", "host:123"])
LOCALS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=10) | st.sampled_from(
    ['"a b"', '"a@b"', '"\\""', "o'hara", "+", '"@"', "é"]
)
DOMAINS = st.sampled_from(["x.test", "xn--bcher-kva.test", "a.b.c.test"])


@st.composite
def events(draw: st.DrawFn, index: int, letter: str) -> Event:
    at = NOW + draw(st.integers(-5_000, 10**9))
    begun = draw(st.none() | st.integers(0, 10**6))
    return Event(
        index,
        letter,
        at,
        draw(WORDS),
        draw(TEXTS),
        draw(st.sampled_from([None, "rcpt", "dot"])),
        draw(st.sampled_from([None, "permanent", "local"])),
        draw(st.none() | st.integers(200, 599)),
        draw(st.none() | st.sampled_from(["2.0.0", "5.1.1"])),
        None if begun is None else at - begun,
        draw(st.none() | st.integers(0, 10**6)),
        draw(WORDS),
        draw(WORDS),
        draw(WORDS),
        draw(st.booleans()),
    )


@st.composite
def chunks(draw: st.DrawFn) -> list[Entry]:
    indices = sorted(draw(st.sets(st.integers(0, 300), min_size=1, max_size=12)))
    row = 0
    entries = []
    for index in indices:
        row += draw(st.integers(1, 50))
        letter = draw(st.sampled_from("SRFUXI"))
        before = draw(st.lists(st.sampled_from("dqI"), max_size=2))
        last = [letter] if draw(st.integers(0, 9)) else []
        entries.append(
            Entry(
                index,
                row,
                f"{draw(LOCALS)}@{draw(DOMAINS)}",
                letter,
                draw(st.integers(0, 255)),
                draw(st.integers(0, 9)),
                NOW,
                events=[draw(events(index, step)) for step in [*before, *last]],
            )
        )
    return entries


@given(chunks())
def test_what_is_packed_reads_the_same(entries: list[Entry]) -> None:
    assert unpack(pack(entries)) == entries


@given(st.lists(st.integers(0, 300).flatmap(lambda index: events(index, "R")), max_size=8))
def test_a_log_of_events_reads_as_it_was_written(written: list[Event]) -> None:
    assert list(read_events(b"".join(map(frame, written)))) == written


@pytest.mark.parametrize("text", ["x" * 200_000, "\ud800 lone", "one\r\ntwo\0", "é" * 100_000])
def test_whatever_our_own_words_are_they_can_be_stored(text: str) -> None:
    outcome = Outcome(state=State.FAILED, text=text)
    (event,) = read_events(frame(event_of(0, outcome, Attempt(begun_ms=NOW, ended_ms=NOW))))
    assert event.text is not None
    assert len(event.text) <= 500
    assert event.text.isprintable()


async def test_packing_changes_nothing_that_a_report_says(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts(range(1, 7)))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        worker.delivery.record(claim, claim.recipients[5], deferred(claim.redis_ms))
        ends = (SENT, REFUSED, FAILED, IN_DOUBT, Outcome(state=State.SUPPRESSED, reason="suppressed"))
        for recipient, outcome in zip(claim.recipients, ends, strict=False):
            worker.delivery.record(claim, recipient, outcome)
        await worker.written(claim)
        again = await worker.claim(campaign)
        worker.delivery.record(again, again.recipients[0], SENT)
        await worker.written(again)
        before = await records(ledgers, campaign)
        await worker.delivery.end_run(claim)
    assert await records(ledgers, campaign) == before
    assert [record.attempts for record in before] == [1, 1, 1, 1, 1, 2]
    await checked(ledgers, campaign)


async def test_a_finished_chunk_leaves_only_its_blob_and_the_messages_that_may_be_needed(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts(range(1, 6)))
    base = ledgers.keys.base(campaign.id)
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        for recipient, outcome in zip(claim.recipients, (SENT, REFUSED, FAILED, IN_DOUBT, SENT), strict=True):
            worker.delivery.record(claim, recipient, outcome)
        await worker.delivery.end_run(claim)
    left = [key.removeprefix(base) for key in await keys_of(ledgers, campaign) if key.startswith(base)]
    assert [name for name in left if not name.startswith("x:")] == ["c", "f:0", "k:0", "ref"]
    kept = await ledgers.redis.get(base + "k:0")
    assert kept is not None
    assert sorted(read_messages(kept)) == [1, 2, 3]
    assert await ledgers.intake.queued_bytes(campaign) == 0


async def test_what_is_open_in_a_packed_chunk_can_still_be_sent(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts(range(1, 7)))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        for recipient, outcome in zip(claim.recipients, (SENT, RELEASED, REFUSED), strict=False):
            worker.delivery.record(claim, recipient, outcome)
        for recipient in claim.recipients[3:]:
            worker.delivery.record(claim, recipient, deferred(claim.redis_ms))
        await worker.delivery.end_run(claim)
        await checked(ledgers, campaign)
        again = await worker.claim(campaign)
        assert [
            (one.row, unstuff(worker.delivery.mail_data(again, one)), one.attempts) for one in again.recipients
        ] == [(row, message(row), int(row > 2)) for row in (2, 4, 5, 6)]
        await worker.record(again, again.recipients[0], SENT)
        for recipient in again.recipients[1:]:
            worker.delivery.record(again, recipient, REFUSED)
        await worker.delivery.end_run(again)
    status = await checked(ledgers, campaign)
    assert (status.totals.sent, status.totals.refused, status.totals.open) == (2, 4, 0)
    assert [record.row for record in await records(ledgers, campaign)] == list(range(1, 7))
    assert [record.attempts for record in await records(ledgers, campaign)] == [1, 1, 1, 2, 2, 2]


async def test_two_runs_of_a_chunk_may_end_in_the_same_moment(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts(range(1, 41)))
    async with hand(ledgers) as one, hand(ledgers) as two:
        first = await one.claim(campaign)
        for recipient in first.recipients[20:]:
            one.delivery.record(first, recipient, RELEASED)
        await one.written(first)
        second = await two.claim(campaign)
        for recipient in first.recipients[:20]:
            one.delivery.record(first, recipient, SENT)
        for recipient in second.recipients:
            two.delivery.record(second, recipient, REFUSED)
        await asyncio.gather(one.delivery.end_run(first), two.delivery.end_run(second))
    status = await checked(ledgers, campaign)
    assert (status.totals.sent, status.totals.refused) == (20, 20)
    found = await records(ledgers, campaign)
    assert all(a.row + 1 == b.row for a, b in pairwise(found))
    assert all(record.text for record in found)
