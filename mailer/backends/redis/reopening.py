"""What the operator's word changes in one chunk: some recipients are queued again, or leave their doubt."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec import structs

from mailer.backends.redis.closing import KEPT_FRAMES
from mailer.backends.redis.entries import Roster, write_messages, write_roster
from mailer.backends.redis.events import OPERATOR, Event, frame
from mailer.backends.redis.packing import pack

if TYPE_CHECKING:
    from mailer.backends.redis.chunk_parts import ChunkParts
    from mailer.backends.redis.entries import Entry

MOST_CRASHES = 2
"""Crashes that a recipient taken back keeps: it is claimed alone, and the next crash makes it poison again."""

Act = Callable[["Entry"], Event | None]
"""What the operator wants of a recipient: the event that leads to its new state, or None when it stays."""


@dataclass(slots=True)
class Plan:
    """The chunk after the operator's act, and how many recipients it moves or cannot queue."""

    moved: int = 0
    without_message: int = 0
    suppressed: int = 0
    final: bytes = b""
    kept: bytes = b""
    messages: bytes = b""
    roster: bytes = b""
    events: bytes = b""
    waiting: Collection[bytes] = ()
    """The frames in `m:n`."""
    held: Collection[bytes] = ()
    """The frames in `k:n`."""
    files: list[str] = field(default_factory=list)
    """What changes about attached files, see `attachments.changed_in`."""
    packed: list[str | bytes | int] = field(default_factory=list)
    """For each recipient in `f:n`: letter before, new letter or value, index."""
    unpacked: list[str | bytes | int] = field(default_factory=list)
    """For each recipient in `s:n`: index, value as read, new value."""

    @property
    def arguments(self) -> list[str | bytes | int]:
        """What `reopen.lua` reads after the digest."""
        blobs = [self.final, self.kept, self.messages, self.roster, self.events]
        return [*blobs, len(self.files), *self.files, len(self.packed) // 3, *self.packed, *self.unpacked]


def plan(parts: "ChunkParts", act: Act, limit: int | None = None, suppressed: frozenset[str] = frozenset()) -> Plan:
    """Work out what an act makes of a chunk; at most `limit` recipients move, in the order of their index.

    Nobody among `suppressed` (addresses) is queued.
    """
    made = Plan()
    packed = {entry.index: entry for entry in parts.packed}
    kept, messages = parts.kept, parts.messages
    back: list[Entry] = []
    for entry in sorted([*packed.values(), *parts.unpacked], key=lambda entry: entry.index):
        is_packed = entry.index in packed
        if limit is not None and made.moved >= limit:
            break
        if (event := act(entry)) is None:
            continue
        if event.letter == "q" and entry.index not in (kept if is_packed else messages):
            made.without_message += 1
            continue
        if event.letter == "q" and entry.email in suppressed:
            made.suppressed += 1
            continue
        made.moved += 1
        if is_packed:
            made.packed += [
                entry.letter,
                _value(entry, event.letter) if event.letter == "q" else event.letter,
                entry.index,
            ]
        else:
            value = parts.values[b"%d" % entry.index]
            made.unpacked += [entry.index, value, _value(entry, event.letter)]
        if is_packed and event.letter != "q":
            packed[entry.index] = structs.replace(entry, letter=event.letter, events=[*entry.events, event])
            if event.letter not in KEPT_FRAMES:
                kept.pop(entry.index, None)
            continue
        if is_packed:
            del packed[entry.index]
            messages[entry.index] = kept.pop(entry.index)
            back.append(entry)
            made.events += b"".join(map(frame, entry.events))
        made.events += frame(event)
    made.final = pack(sorted(packed.values(), key=lambda entry: entry.index), parts.doubts) if packed else b""
    made.kept = write_messages(kept) if kept else b""
    made.messages = write_messages(messages)
    made.waiting, made.held = messages.values(), kept.values()
    if (roster := _with(parts.roster, back)) is not None:
        made.roster = write_roster(roster)
    return made


def _value(entry: "Entry", letter: str) -> str:
    """The new value in `s:n`, without a tail: whoever held it before has lost it."""
    return f"{letter}{entry.attempts:02x}{min(entry.crashes, MOST_CRASHES)}"


def _with(roster: Roster | None, back: "list[Entry]") -> Roster | None:
    """The roster with those who come back from the packed form, in the order of the index."""
    if not back:
        return roster
    known = roster or Roster(back[0].accepted_ms, [], [], [])
    people = [
        *zip(known.indices, known.rows, known.emails, strict=True),
        *((entry.index, entry.row, entry.email) for entry in back),
    ]
    people.sort()
    return Roster(known.accepted_ms, *(list(column) for column in zip(*people, strict=True)))


def act_of(entry: "Entry", letter: str, text: str, now_ms: int) -> Event:
    """The event that an operator's act leaves in a recipient's history; it counts as no attempt."""
    failure = {"R": "permanent", "F": "local"}.get(letter)
    return Event(entry.index, letter, now_ms, OPERATOR, text, None, failure, counted=False)
