"""Which records are behind what a worker remembers, after the queue server has forgotten its last second.

What a rollback leaves is the ledger as it stood at some earlier moment. So an outcome whose event is missing was
forgotten, and so was everything that came after it; whoever holds the recipient in the ledger held it earlier.
Only workers that claim although not everybody has put back his memory (its lease was over) can be later than that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec

from mailer.backends.redis.events import FINAL_LETTERS, Event, frame, read_events
from mailer.policy.addressing import key_of
from mailer.policy.doubt import RESENT

if TYPE_CHECKING:
    from mailer.backends.redis.chunk_parts import ChunkParts
    from mailer.backends.redis.entries import Entry
    from mailer.backends.redis.operation import Operation


FORGOTTEN = "sent again; the queue server has forgotten who decided it"
"""Of whom a later claim proves that somebody queued him again."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A recipient as it stands in `s:n`, with its events."""

    letter: str
    attempts: int
    crashes: int
    tail: str
    events: tuple[Event, ...] = ()

    @property
    def value(self) -> str:
        """As it is stored."""
        return f"{self.letter}{self.attempts:02x}{self.crashes}{self.tail}"

    @property
    def holder(self) -> str:
        """The token that holds it, or held it last."""
        return "" if self.letter in "qd" else self.tail


def caught_up(
    standing: Standing, remembered: "Operation", events: tuple[Event, ...], claimed_ms: Mapping[str, int]
) -> Standing | None:
    """The recipient as it stands with what is remembered of one attempt; None where it is not behind.

    `events` are those that the operation leaves behind; `claimed_ms` says of each holder when it claimed.
    """
    token, into = remembered.token, remembered.letter
    if any(event in standing.events for event in events):
        return None
    is_own = standing.holder == token
    attempts = min(255, standing.attempts + remembered.counted)
    done = replace(standing, letter=into, attempts=attempts, tail=token, events=standing.events + events)
    if (
        not is_own
        and standing.letter in "IRF"
        and standing.events
        and remembered.claimed_ms >= standing.events[-1].at_ms
    ):
        # Nobody claims what is final: by the policy or an operator it had been queued again before.
        again = Event(standing.events[-1].index, "q", remembered.claimed_ms, RESENT, FORGOTTEN)
        tail = {"q": "", "d": str(remembered.due_ms)}.get(into, token)
        return replace(done, tail=tail, events=(*standing.events, again, *events))
    if is_own and standing.letter == "I" and into in FINAL_LETTERS:
        # The lease was over before: the reply is kept beside the record and changes no state.
        return replace(standing, events=standing.events + events)
    if standing.letter in FINAL_LETTERS:
        # Cancelled, because the ledger had forgotten that it was under way.
        return done if standing.letter == "X" and not is_own and into in "SRFI" else None
    if into == "q":
        return replace(done, tail="") if is_own else None
    if not is_own and any(event.at_ms >= remembered.claimed_ms for event in standing.events):
        # Somebody else has had his say since: this attempt was over before the rollback.
        return None
    if into == "d":
        # A second try is harmless where nobody is at it.
        return replace(done, tail=str(remembered.due_ms)) if is_own or standing.letter == "q" else None
    if standing.letter == "g":
        if is_own:
            return done if into != "g" else None
        # Two are at it. The later one has begun after the rollback, in the belief that this worker was dead.
        return done if claimed_ms.get(standing.tail, 0) < remembered.claimed_ms else None
    # Queued, deferred, or claimed by somebody who has not begun: the mark will be refused to him.
    return done


@dataclass(slots=True)
class Replay:
    """What is to be put back in one chunk, and what has no place there."""

    words: list[str | bytes | int] = field(default_factory=list)
    """What `replay.lua` reads after the chunk."""
    lost: list["Operation"] = field(default_factory=list)
    recipients: int = 0


def replay_of(parts: "ChunkParts", remembered: "Sequence[Operation]", claimed_ms: Mapping[str, int]) -> Replay:
    """Work out what brings one chunk up to what is remembered of it, oldest first."""
    made = Replay()
    packed = {entry.index: entry for entry in parts.packed}
    unpacked = {entry.index: entry for entry in parts.unpacked}
    changed: dict[int, tuple[Standing, Standing, Operation]] = {}
    for operation in remembered:
        entry = _found(operation, unpacked)
        if entry is None:
            settled = _found(operation, packed)
            if settled is None or not _is_in(operation, settled):
                made.lost.append(operation)
            continue
        before, now, _ = changed.get(entry.index) or (standing := _standing(parts, entry), standing, operation)
        after = caught_up(now, operation, _events_of(operation, entry.index), claimed_ms)
        if after is not None:
            changed[entry.index] = (before, after, operation)
        elif not _is_in(operation, entry) and operation.letter not in ("d", "q"):
            made.lost.append(operation)
    made.recipients = len(changed)
    for index, (before, after, latest) in changed.items():
        made.words += [
            index,
            before.value,
            after.value,
            b"".join(frame(event) for event in after.events[len(before.events) :]),
            after.tail if after.letter == "g" else "",
            latest.claimed_ms,
            after.tail if after.letter == "d" else "",
            latest.address,
            latest.note,
        ]
    return made


def _found(operation: "Operation", entries: "Mapping[int, Entry]") -> "Entry | None":
    """The recipient an operation is about: the chunk may have been accepted anew, in another order."""
    entry = entries.get(operation.index)
    if entry is not None and key_of(entry.email) == operation.address:
        return entry
    same = [entry for entry in entries.values() if key_of(entry.email) == operation.address]
    return same[0] if len(same) == 1 else None


def _is_in(operation: "Operation", entry: "Entry") -> bool:
    """True when the ledger has what is remembered, or more."""
    if operation.is_mark:
        return entry.is_final or entry.letter == "g"
    events = _events_of(operation, entry.index)
    return not events or any(event in entry.events for event in events)


def _events_of(operation: "Operation", index: int) -> tuple[Event, ...]:
    return tuple(msgspec.structs.replace(event, index=index) for event in read_events(operation.event))


def _standing(parts: "ChunkParts", entry: "Entry") -> Standing:
    value = parts.values[b"%d" % entry.index].decode()
    return Standing(value[0], int(value[1:3], 16), int(value[3]), value[4:], tuple(entry.events))
