"""Late replies: what a worker brought for a recipient in doubt when its lease was over. They change no state.

They stand behind the event that led to the doubt: in `o:n`, of packed recipients too, until the packer puts them into
the history.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mailer.backends.redis.entries import Entry
from mailer.backends.redis.events import OPERATOR, Event, read_events

if TYPE_CHECKING:
    from collections.abc import Mapping

_IN_DOUBT = "I"


def add_late(packed: Iterable[Entry], log: bytes) -> bool:
    """Put what `o:n` has of packed recipients into their histories, once each. True when there is something."""
    entries: Mapping[int, Entry] = {entry.index: entry for entry in packed}
    if not (log and entries):
        return False
    found = False
    for event in read_events(log):
        if (entry := entries.get(event.index)) is not None:
            found = True
            # A worker that got no answer writes again.
            if event not in entry.events:
                entry.events = [*entry.events, event]
    return found


def said_of(entry: Entry, event: Event | None) -> str | None:
    """The text of the decisive event; of a recipient in doubt, with what came late: `…; late: 250 2.0.0 Ok`."""
    if event is None or entry.letter != _IN_DOUBT or entry.events[-1] is event:
        return event.text if event is not None else None
    later = entry.events[entry.events.index(event) + 1 :]
    late = [_words(one) for one in later if one.reason != OPERATOR]
    return "; late: ".join(filter(None, (event.text, *late)))


def _words(event: Event) -> str:
    return " ".join(str(word) for word in (event.code, event.enhanced_code, event.text) if word)
