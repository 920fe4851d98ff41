"""The sums of a chunk: of what is packed by whole columns, of the others one by one."""

from collections import Counter
from itertools import compress
from typing import TYPE_CHECKING

from mailer.backends.redis.entries import Entry
from mailer.backends.redis.events import STATES
from mailer.backends.redis.late import said_of
from mailer.policy.tally import Said

if TYPE_CHECKING:
    from mailer.backends.redis.packing import Packed
    from mailer.policy.tally import Tally

_NAMES = {letter: state.value for letter, state in STATES.items()}
_SENT = "S"


def add_entry(tally: "Tally", entry: Entry) -> None:
    """Add one recipient."""
    state = _NAMES[entry.letter]
    tally.states[state] += 1
    tally.attempts[entry.attempts] += 1
    tally.by_domain[entry.email.rpartition("@")[2], state] += 1
    _add_history(tally, entry)


def add_packed(tally: "Tally", packed: "Packed") -> None:
    """Add everybody in these columns."""
    letters = packed.letters
    for letter, count in Counter(letters).items():
        tally.states[_NAMES[letter]] += count
    tally.attempts.update(packed.attempts)
    for (domain, letter), count in Counter(zip(packed.domain, letters, strict=True)).items():
        tally.by_domain[packed.domains[domain], _NAMES[letter]] += count
    _add_times(tally, packed)
    if packed.histories or letters.strip(_SENT):
        _add_words(tally, packed)


def _add_times(tally: "Tally", packed: "Packed") -> None:
    """Of those with a single event, which has columns of its own."""
    letters = packed.letters
    if packed.histories:
        letters = "".join(compress(letters, [place >= 0 for place in packed.reply]))
    tally.waited([max(0, at - before) for at, before in zip(packed.at, packed.begun, strict=True) if before >= 0])
    sent = [letter == _SENT for letter in letters]
    tally.took([took for took in compress(packed.smtp, sent) if took >= 0])
    tries = compress(zip(packed.at, packed.begun, strict=True), sent)
    tally.sent_at([(packed.accepted_ms + at) // 1000 for at, before in tries if before >= 0])
    if tally.tls is None:
        tally.tls = next(
            filter(None, (packed.connections[wire][1] for wire in compress(packed.connection, sent))), None
        )


def _add_words(tally: "Tally", packed: "Packed") -> None:
    """Why some were not sent to; and those with more than one event, as a whole."""
    queue_ids = iter(packed.queue_ids.split("\n"))
    has_id = [text is not None and "\0" in text for _, text, *_ in packed.replies]
    people = zip(packed.indices, packed.locals.split("\n"), packed.domain, packed.letters, packed.reply, strict=True)
    for index, local, domain, letter, place in people:
        queue_id = next(queue_ids) if place >= 0 and has_id[place] else None
        if letter == _SENT and place >= 0:
            continue
        email = f"{local}@{packed.domains[domain]}"
        if place < 0:
            history = list(packed.histories.get(index, ()))
            _add_history(tally, Entry(index, 0, email, letter, 0, 0, packed.accepted_ms, events=history))
            continue
        reason, text, phase, failure, code, enhanced_code = packed.replies[place]
        if text is not None and queue_id is not None:
            text = text.replace("\0", queue_id, 1)
        tally.explain(_NAMES[letter], Said(code, enhanced_code, text, phase, failure, reason), email)


def _add_history(tally: "Tally", entry: Entry) -> None:
    tries = [event for event in entry.events if event.begun_ms is not None]
    if tries and tries[0].begun_ms is not None:
        tally.waited((max(0, tries[0].begun_ms - entry.accepted_ms),))
    if (event := entry.decisive) is None:
        return
    if entry.letter != _SENT:
        words = Said(event.code, event.enhanced_code, said_of(entry, event), event.phase, event.failure, event.reason)
        tally.explain(_NAMES[entry.letter], words, entry.email)
        return
    tally.tls = tally.tls or event.tls
    if event.smtp_ms is not None:
        tally.took((event.smtp_ms,))
    if tries:
        tally.sent_at((tries[-1].at_ms // 1000,))
