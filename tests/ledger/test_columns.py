"""What is taken from packed columns is what the recipients one by one would have given."""

from hypothesis import given
from hypothesis import strategies as st

from mailer.backends.redis.entries import Entry
from mailer.backends.redis.events import STATES
from mailer.backends.redis.lines import Wanted, lines_of
from mailer.backends.redis.packing import doubts_in, pack, read_packed, unpack
from mailer.backends.redis.reading import identifying, record_of
from mailer.backends.redis.sums import add_entry, add_packed
from mailer.policy.tally import Tally
from mailer.vocabulary.line import Line, line_of
from mailer.vocabulary.recipient import State
from tests.ledger.campaigns import proposal
from tests.ledger.test_packing import chunks

CAMPAIGN = proposal(id="news-1234", salt="00" * 16)


def line(entry: Entry, first: str) -> Line:
    return line_of(record_of(entry, CAMPAIGN, first))


def said(tally: Tally) -> list[object]:
    return [
        tally.states,
        tally.attempts,
        tally.by_domain,
        tally.refused,
        tally.reasons(),
        tally.domains(),
        tally.timings(),
        tally.peak_rate,
    ]


@given(chunks())
def test_the_sums_of_columns_are_those_of_recipients(entries: list[Entry]) -> None:
    by_columns, by_entries, by_records = Tally(), Tally(), Tally()
    add_packed(by_columns, read_packed(pack(entries)))
    for entry in entries:
        add_entry(by_entries, entry)
        by_records.add(record_of(entry, CAMPAIGN, entry.email))
    assert said(by_columns) == said(by_entries) == said(by_records)
    versions = {event.tls for entry in entries for event in entry.events if entry.letter == "S"}
    assert by_columns.tls in versions | {None}


@given(chunks(), st.none() | st.sets(st.sampled_from(State)), st.none() | st.sampled_from(["x.test", "none.test"]))
def test_the_lines_of_columns_are_those_of_recipients(
    entries: list[Entry], states: set[State] | None, domain: str | None
) -> None:
    found = lines_of(
        read_packed(pack(entries)),
        Wanted(states, domain),
        message_id=identifying(CAMPAIGN),
        line_of_entry=line,
    )
    assert list(found) == [
        line(entry, entry.email)
        for entry in entries
        if (states is None or STATES[entry.letter] in states) and entry.email.endswith(domain or "")
    ]


@given(chunks(), st.dictionaries(st.integers(0, 300), st.text("0123456789abcdef.", min_size=1, max_size=40)))
def test_the_claims_of_doubts_stand_before_the_columns(entries: list[Entry], tokens: dict[int, str]) -> None:
    blob = pack(entries, tokens)
    doubtful = {entry.index for entry in entries if entry.letter == "I"}
    assert doubts_in(blob) == {index: token for index, token in tokens.items() if index in doubtful}
    assert unpack(blob) == entries
    assert read_packed(blob).emails == [entry.email for entry in entries]
