"""The lines of a packed chunk, made from its columns without an object for each recipient or event in between."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailer.backends.redis.entries import Entry
from mailer.backends.redis.events import LETTERS, STATES
from mailer.vocabulary.line import Line, instant

if TYPE_CHECKING:
    from mailer.backends.redis.packing import Packed
    from mailer.vocabulary.recipient import State

_NAMES = {letter: state.value for letter, state in STATES.items()}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose lines are asked for: those in some states (None: in any), of one domain (None: of any)."""

    states: "Collection[State] | None" = None
    domain: str | None = None

    @property
    def letters(self) -> frozenset[str]:
        """The states as letters."""
        return frozenset(LETTERS[state] for state in (LETTERS if self.states is None else self.states))


def lines_of(
    packed: "Packed",
    wanted: Wanted,
    *,
    message_id: Callable[[str, int], str],
    line_of_entry: Callable[[Entry, str], Line],
) -> Iterator[Line]:
    """The lines of those who are wanted, ordered by row.

    `message_id` makes one for the first address of a row; `line_of_entry` makes the line of a recipient with more than
    one event, from the same.
    """
    letters, domains = wanted.letters, packed.domains
    if letters.isdisjoint(packed.letters) or (wanted.domain is not None and wanted.domain not in domains):
        return
    queue_ids = iter(packed.queue_ids.split("\n"))
    has_id = [text is not None and "\0" in text for _, text, *_ in packed.replies]
    wires = packed.wires()
    firsts: dict[int, str] = {}
    for index, row, local, host, letter, attempts, crashes, place in packed.people():
        email = f"{local}@{domains[host]}"
        # One message goes to all recipients of a row, and they stand in one chunk.
        first = firsts.setdefault(row, email)
        if place >= 0:
            wire, at, begun, smtp = next(wires)
            queue_id = next(queue_ids) if has_id[place] else None
        if letter not in letters or (wanted.domain is not None and domains[host] != wanted.domain):
            continue
        if place < 0:
            events = list(packed.histories.get(index, ()))
            entry = Entry(index, row, email, letter, attempts, crashes, packed.accepted_ms, events=events)
            yield line_of_entry(entry, first)
            continue
        reason, text, phase, failure, code, enhanced_code = packed.replies[place]
        if queue_id is not None and text is not None:
            text = text.replace("\0", queue_id, 1)
        relay, tls, worker, _ = packed.connections[wire]
        at_ms = packed.accepted_ms + at
        tried = begun >= 0
        yield Line(
            row,
            email,
            _NAMES[letter],
            code,
            enhanced_code,
            text,
            phase,
            failure,
            reason,
            attempts,
            instant(at_ms - begun) if tried else None,
            instant(at_ms) if tried else None,
            None,
            max(0, at - begun) if tried else None,
            smtp if smtp >= 0 else None,
            message_id(first, row),
            queue_id if letter == "S" else None,
            relay,
            worker,
            tls,
        )
