"""What must hold within one chunk at every moment, whatever happened before."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from mailer.backends.redis.events import FINAL_LETTERS, STATES
from mailer.backends.redis.zstd import ZstdError

if TYPE_CHECKING:
    from mailer.backends.redis.chunk_parts import ChunkParts
    from mailer.backends.redis.entries import Entry

UNREADABLE = (ValueError, KeyError, IndexError, RuntimeError, ZstdError, msgspec.DecodeError)
"""What decoding raises when a key does not hold what it should."""


@dataclass(slots=True)
class Counted:
    """One chunk, recounted: its recipients by state, who they are, and what is wrong with it."""

    states: Counter[str] = field(default_factory=Counter)
    people: list[tuple[str, int]] = field(default_factory=list)
    """Address and row of each."""
    message_bytes: int = 0
    violations: list[str] = field(default_factory=list)


def count_chunk(parts: "ChunkParts", *, is_open: bool, is_due: bool, holders: frozenset[str]) -> Counted:
    """Recount a chunk. `is_open` and `is_due` say whether it stands in `open` and `due`, `holders` who is in `h`."""
    counted = Counted(message_bytes=len(parts.messages_blob))
    try:
        found = list(_wrong(parts, counted, is_open=is_open, is_due=is_due, holders=holders))
    except UNREADABLE as error:
        found = [f"cannot be read: {str(error) or type(error).__name__}"]
    counted.violations = [f"chunk {parts.number}: {words}" for words in found]
    return counted


def _wrong(
    parts: "ChunkParts", counted: Counted, *, is_open: bool, is_due: bool, holders: frozenset[str]
) -> Iterator[str]:
    packed, unpacked = parts.packed, parts.unpacked
    for entry in (*packed, *unpacked):
        counted.states[STATES[entry.letter].value] += 1
        counted.people.append((entry.email, entry.row))
    yield from _partition(parts, packed, unpacked)
    yield from _messages(parts, packed, unpacked)
    yield from _held(parts, unpacked, holders)
    if parts.values and not is_open:
        yield "has recipients that are not packed, and nobody looks for it (it is not in open)"
    if not parts.values and is_open:
        yield "stands in open, and everybody in it is packed"
    if is_due and not is_open:
        yield "stands in due, but not in open"


def _partition(parts: "ChunkParts", packed: "list[Entry]", unpacked: "list[Entry]") -> Iterator[str]:
    """Everybody is in exactly one state."""
    indices = [entry.index for entry in packed]
    if len(set(indices)) != len(indices):
        yield "a recipient is packed twice"
    if both := set(indices) & {entry.index for entry in unpacked}:
        yield f"{len(both)} recipients are packed and open at once"
    if odd := [entry for entry in packed if entry.letter not in FINAL_LETTERS]:
        yield f"{len(odd)} packed recipients are not final"
    if len(unpacked) != len(parts.values):
        yield f"{len(parts.values)} states in s, {len(unpacked)} of them with an address"
    if (roster := parts.roster) is not None and len(roster.indices) != len(unpacked):
        yield f"{len(roster.indices)} addresses in a, {len(unpacked)} of them with a state"
    if parts.roster_blob is None and (parts.messages_blob or parts.log):
        yield "messages or outcomes are left of recipients that are packed"


def _messages(parts: "ChunkParts", packed: "list[Entry]", unpacked: "list[Entry]") -> Iterator[str]:
    """Whoever is to be sent to has a message, and so has whoever an operator may send to again."""
    messages, kept = parts.messages, parts.kept
    if lacking := [entry for entry in unpacked if not entry.is_final and entry.index not in messages]:
        yield f"{len(lacking)} recipients wait without a message"
    if lost := [entry for entry in packed if entry.letter in "RI" and entry.index not in kept]:
        yield f"{len(lost)} refused or doubtful recipients have lost their message"
    if strange := kept.keys() - {entry.index for entry in packed if entry.letter in "RFI"}:
        yield f"{len(strange)} messages are kept for nobody"
    if stray := messages.keys() - {entry.index for entry in unpacked}:
        yield f"{len(stray)} messages wait for nobody"


def _held(parts: "ChunkParts", unpacked: "list[Entry]", holders: frozenset[str]) -> Iterator[str]:
    """Whoever is claimed or sending is in a claim that the reconciler knows of."""
    tokens = {
        parts.values[b"%d" % entry.index][4:].decode("ascii", "replace") for entry in unpacked if entry.letter in "cg"
    }
    if unknown := {token for token in tokens if f"{parts.number}:{token}" not in holders}:
        yield f"{len(unknown)} claims that nobody would take over (they are not in h)"
