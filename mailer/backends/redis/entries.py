"""A recipient as the ledger knows it, put together from the parts of its chunk."""

from collections.abc import Iterable, Mapping

import msgspec

from mailer.backends.redis.events import FINAL_LETTERS, OPERATOR, Event, read_events
from mailer.backends.redis.zstd import compress, decompress


class Entry(msgspec.Struct, gc=False):
    """One recipient of a chunk: who, which state, and every event so far, oldest first."""

    index: int
    row: int
    email: str
    letter: str
    attempts: int
    crashes: int
    accepted_ms: int
    due_ms: int | None = None
    events: list[Event] = []

    @property
    def is_final(self) -> bool:
        """True when its state is one that no program leaves."""
        return self.letter in FINAL_LETTERS

    @property
    def since_operator(self) -> list[Event]:
        """The events after the operator's last act: what came before it does not count against a new try."""
        if not self.events:
            return self.events
        acts = [place for place, event in enumerate(self.events) if event.reason == OPERATOR]
        return self.events[acts[-1] + 1 :] if acts else self.events

    @property
    def decisive(self) -> Event | None:
        """The event that led to the present state, or the last one where none did (a crash before the first try)."""
        for event in reversed(self.events):
            if event.letter == self.letter:
                return event
        return self.events[-1] if self.events else None


class Roster(msgspec.Struct, array_like=True, frozen=True):
    """`a:n`: who is in a chunk. Columns of equal length, sorted by index."""

    accepted_ms: int
    indices: list[int]
    rows: list[int]
    emails: list[str]

    def without(self, gone: frozenset[int]) -> "Roster":
        """The same without some indices."""
        kept = [k for k, index in enumerate(self.indices) if index not in gone]
        return Roster(
            self.accepted_ms,
            [self.indices[k] for k in kept],
            [self.rows[k] for k in kept],
            [self.emails[k] for k in kept],
        )


_encode = msgspec.msgpack.Encoder().encode
_read_roster = msgspec.msgpack.Decoder(Roster).decode
_read_messages = msgspec.msgpack.Decoder(dict[int, bytes]).decode


def write_roster(roster: Roster) -> bytes:
    """`a:n` as it is stored."""
    return compress(_encode(roster), level=3)


def read_roster(blob: bytes) -> Roster:
    """`a:n` as it was stored."""
    return _read_roster(decompress(blob))


def write_messages(frames: Mapping[int, bytes]) -> bytes:
    """`m:n` or `k:n`: index to frame."""
    return _encode(frames)


def read_messages(blob: bytes) -> dict[int, bytes]:
    """Index to frame."""
    return _read_messages(blob)


def read_entries(roster: Roster, values: Mapping[bytes, bytes], log: bytes) -> list[Entry]:
    """The recipients of a chunk that are not packed, in the order of their index.

    `values` is the hash `s:n`: index to state letter, attempts (2 hex digits), crashes (1 digit) and tail.
    """
    entries: dict[int, Entry] = {}
    for index, row, email in zip(roster.indices, roster.rows, roster.emails, strict=True):
        value = values.get(b"%d" % index)
        if value is None:
            continue
        letter, tail = chr(value[0]), value[4:]
        due = int(tail) if letter == "d" else None
        entries[index] = Entry(
            index, row, email, letter, int(value[1:3], 16), value[3] - 48, roster.accepted_ms, due_ms=due
        )
    attach(entries, read_events(log))
    return list(entries.values())


def attach(entries: Mapping[int, Entry], events: Iterable[Event]) -> None:
    """Put each event to its recipient."""
    for event in events:
        if (entry := entries.get(event.index)) is not None:
            entry.events.append(event)
