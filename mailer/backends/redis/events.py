"""Events: what happened to a recipient, one after the other, as they are appended to a chunk's `o:n`."""

import struct
from collections.abc import Iterator

import msgspec

from mailer.vocabulary.chunk import Attempt
from mailer.vocabulary.outcome import Outcome
from mailer.vocabulary.recipient import State
from mailer.vocabulary.reply import sanitise

LETTERS = {
    State.QUEUED: "q",
    State.CLAIMED: "c",
    State.SENDING: "g",
    State.DEFERRED: "d",
    State.SENT: "S",
    State.REFUSED: "R",
    State.FAILED: "F",
    State.SUPPRESSED: "U",
    State.CANCELLED: "X",
    State.IN_DOUBT: "I",
}
STATES = {letter: state for state, letter in LETTERS.items()}
OPERATOR = "operator"
"""The reason of an event that an operator brought about."""
FINAL_LETTERS = frozenset(letter for letter in STATES if letter.isupper())


class Event(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One change of state of the recipient at `index` of its chunk, with everything the report says about it.

    The order is the storage format: scripts write the first seven fields by position.
    """

    index: int
    letter: str
    at_ms: int
    reason: str | None = None
    text: str | None = None
    phase: str | None = None
    failure: str | None = None
    code: int | None = None
    enhanced_code: str | None = None
    begun_ms: int | None = None
    smtp_ms: int | None = None
    relay: str | None = None
    tls: str | None = None
    worker: str | None = None
    counted: bool = True

    @property
    def state(self) -> State:
        """The state it led to."""
        return STATES[self.letter]


_LENGTH = struct.Struct(">H")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Event).decode


def event_of(index: int, outcome: Outcome, attempt: Attempt) -> Event:
    """The event that an outcome leaves behind."""
    reply = outcome.reply
    # Whatever our own words quote, they must not be what keeps an outcome from being written.
    text = outcome.text if outcome.text is None else sanitise(outcome.text)
    return Event(
        index,
        LETTERS[outcome.state],
        attempt.ended_ms,
        outcome.reason,
        reply.text if reply is not None else text,
        outcome.phase,
        outcome.failure,
        reply.code if reply is not None else None,
        reply.enhanced_code if reply is not None else None,
        attempt.begun_ms,
        attempt.smtp_ms,
        attempt.relay,
        attempt.tls,
        attempt.worker,
        outcome.counted,
    )


def frame(event: Event) -> bytes:
    """An event as it is appended: two bytes of length, then msgpack."""
    body = _encode(event)
    return _LENGTH.pack(len(body)) + body


def read_events(log: bytes) -> Iterator[Event]:
    """The events of a chunk in the order they were written. Raises `ValueError` where the bytes are no such log."""
    at = 0
    while at < len(log):
        if len(log) - at < _LENGTH.size:
            raise ValueError("it ends amid an event")
        (length,) = _LENGTH.unpack_from(log, at)
        yield _decode(log[at + 2 : at + 2 + length])
        at += 2 + length
