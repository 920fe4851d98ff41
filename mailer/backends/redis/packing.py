"""Final recipients in about fifty bytes each: columns instead of records, compressed together.

Before the compressed columns of a chunk with recipients in doubt stands a skippable frame (RFC 8878 section 3.1.2), in
which a script can find by whose claim: a reply that comes late is told from one of somebody else by its token.
"""

import struct
from collections.abc import Iterator, Mapping
from itertools import accumulate

import msgspec

from mailer.backends.redis.entries import Entry
from mailer.backends.redis.events import Event
from mailer.backends.redis.zstd import compress, decompress
from mailer.policy.reasons import queue_id

LEVEL = 1
"""A higher one saves two bytes in a hundred and takes three times as long, on the way of every message."""

_DOUBTS = struct.Struct("<II")
_SKIPPABLE = 0x184D2A50


class Packed(msgspec.Struct, array_like=True, frozen=True):
    """`f:n` before compression. Each column has one value per recipient unless it says otherwise.

    A recipient with exactly one event (nearly all) has it spread over the columns; the events of the others stand in
    `histories`, and so does a text with a NUL of its own. What repeats is a place in a table: domains, replies (with
    the queue id cut out), connections.
    """

    accepted_ms: int
    indices: list[int]
    rows: list[int]
    """The first as it is, then the difference to the one before."""
    locals: str
    """Joined by newlines."""
    domains: list[str]
    domain: list[int]
    letters: str
    attempts: list[int]
    crashes: list[int]
    replies: list[tuple[str | None, str | None, str | None, str | None, int | None, str | None]]
    """Reason, text with a NUL for the queue id, phase, class, code, enhanced status code."""
    reply: list[int]
    """Place in `replies`, or -1 for a recipient whose events stand in `histories`."""
    queue_ids: str
    """Joined by newlines; of those with a NUL in their text."""
    connections: list[tuple[str | None, str | None, str | None, bool]]
    """Relay, TLS version, worker, counted."""
    connection: list[int]
    at: list[int]
    """Milliseconds from `accepted_ms`."""
    begun: list[int]
    """Milliseconds before `at`, or -1."""
    smtp: list[int]
    """Milliseconds, or -1."""
    histories: dict[int, list[Event]]

    @property
    def emails(self) -> list[str]:
        """The addresses, in the order of the columns."""
        parts = zip(self.locals.split("\n"), self.domain, strict=True)
        return [f"{local}@{self.domains[domain]}" for local, domain in parts]

    def people(self) -> Iterator[tuple[int, int, str, int, str, int, int, int]]:
        """Each recipient: index, row, local part, place in `domains`, letter, attempts, crashes, place in `replies`."""
        return zip(
            self.indices,
            accumulate(self.rows),
            self.locals.split("\n"),
            self.domain,
            self.letters,
            self.attempts,
            self.crashes,
            self.reply,
            strict=True,
        )

    def wires(self) -> Iterator[tuple[int, int, int, int]]:
        """Place in `connections`, `at`, `begun` and `smtp` of those with a place in `replies`, in their order."""
        return zip(self.connection, self.at, self.begun, self.smtp, strict=True)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Packed).decode
_decode_doubts = msgspec.msgpack.Decoder(dict[int, str]).decode


def pack(entries: list[Entry], doubts: Mapping[int, str] | None = None) -> bytes:
    """`f:n` of these recipients. All belong to one chunk.

    `doubts` has the tokens of the claims that left recipients in doubt, by index; those of other states are left out.
    """
    rows: list[int] = []
    local_parts: list[str] = []
    domains: dict[str, int] = {}
    domain: list[int] = []
    replies: dict[tuple[str | None, str | None, str | None, str | None, int | None, str | None], int] = {}
    reply: list[int] = []
    queue_ids: list[str] = []
    connections: dict[tuple[str | None, str | None, str | None, bool], int] = {}
    connection: list[int] = []
    at: list[int] = []
    begun: list[int] = []
    smtp: list[int] = []
    histories: dict[int, list[Event]] = {}
    row_before = 0
    for entry in entries:
        rows.append(entry.row - row_before)
        row_before = entry.row
        local, _, host = entry.email.rpartition("@")
        local_parts.append(local)
        domain.append(domains.setdefault(host, len(domains)))
        if len(entry.events) != 1 or entry.events[0].letter != entry.letter or "\0" in (entry.events[0].text or ""):
            histories[entry.index] = entry.events
            reply.append(-1)
            continue
        event = entry.events[0]
        text = event.text
        if text is not None and (found := queue_id(text)) is not None:
            text = text.replace(found, "\0", 1)
            queue_ids.append(found)
        words = (event.reason, text, event.phase, event.failure, event.code, event.enhanced_code)
        reply.append(replies.setdefault(words, len(replies)))
        wire = (event.relay, event.tls, event.worker, event.counted)
        connection.append(connections.setdefault(wire, len(connections)))
        at.append(event.at_ms - entry.accepted_ms)
        begun.append(-1 if event.begun_ms is None else event.at_ms - event.begun_ms)
        smtp.append(-1 if event.smtp_ms is None else event.smtp_ms)
    packed = Packed(
        accepted_ms=entries[0].accepted_ms,
        indices=[entry.index for entry in entries],
        rows=rows,
        locals="\n".join(local_parts),
        domains=list(domains),
        domain=domain,
        letters="".join(entry.letter for entry in entries),
        attempts=[entry.attempts for entry in entries],
        crashes=[entry.crashes for entry in entries],
        replies=list(replies),
        reply=reply,
        queue_ids="\n".join(queue_ids),
        connections=list(connections),
        connection=connection,
        at=at,
        begun=begun,
        smtp=smtp,
        histories=histories,
    )
    held = (
        {entry.index: doubts[entry.index] for entry in entries if entry.letter == "I" and entry.index in doubts}
        if doubts
        else {}
    )
    return _frame_of(held) + compress(_encode(packed), level=LEVEL)


def _frame_of(doubts: Mapping[int, str]) -> bytes:
    if not doubts:
        return b""
    body = _encode(doubts)
    return _DOUBTS.pack(_SKIPPABLE, len(body)) + body


def doubts_in(blob: bytes) -> dict[int, str]:
    """Index to token of the recipients in doubt in `f:n`."""
    if len(blob) < _DOUBTS.size:
        return {}
    magic, length = _DOUBTS.unpack_from(blob)
    return _decode_doubts(blob[_DOUBTS.size : _DOUBTS.size + length]) if magic == _SKIPPABLE else {}


def read_packed(blob: bytes) -> Packed:
    """The columns of `f:n`."""
    if len(blob) >= _DOUBTS.size:
        magic, length = _DOUBTS.unpack_from(blob)
        if magic == _SKIPPABLE:
            blob = blob[_DOUBTS.size + length :]
    return _decode(decompress(blob))


def unpack(blob: bytes) -> list[Entry]:
    """The recipients of `f:n`, each with its events."""
    packed = read_packed(blob)
    entries = []
    queue_ids = iter(packed.queue_ids.split("\n"))
    wires = packed.wires()
    for index, row, local, host, letter, attempts, crashes, place in packed.people():
        entry = Entry(index, row, f"{local}@{packed.domains[host]}", letter, attempts, crashes, packed.accepted_ms)
        if place < 0:
            entry.events = list(packed.histories.get(index, ()))
        else:
            reason, text, phase, failure, code, enhanced = packed.replies[place]
            if text is not None and "\0" in text:
                text = text.replace("\0", next(queue_ids), 1)
            wire, at, begun, smtp = next(wires)
            relay, tls, worker, counted = packed.connections[wire]
            at_ms = packed.accepted_ms + at
            entry.events = [
                Event(
                    index,
                    letter,
                    at_ms,
                    reason,
                    text,
                    phase,
                    failure,
                    code,
                    enhanced,
                    None if begun < 0 else at_ms - begun,
                    None if smtp < 0 else smtp,
                    relay,
                    tls,
                    worker,
                    counted,
                )
            ]
        entries.append(entry)
    return entries
