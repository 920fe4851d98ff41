"""Final recipients in about fifty bytes each: columns instead of records, compressed together."""

import msgspec

from mailer.backends.redis.entries import Entry
from mailer.backends.redis.events import Event
from mailer.backends.redis.zstd import compress, decompress
from mailer.policy.reasons import queue_id

LEVEL = 6


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


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Packed).decode


def pack(entries: list[Entry]) -> bytes:
    """`f:n` of these recipients. All belong to one chunk."""
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
    return compress(_encode(packed), level=LEVEL)


def unpack(blob: bytes) -> list[Entry]:
    """The recipients of `f:n`, each with its events."""
    packed = _decode(decompress(blob))
    entries = []
    row = 0
    queue_ids = iter(packed.queue_ids.split("\n"))
    columns = zip(packed.connection, packed.at, packed.begun, packed.smtp, strict=True)
    people = zip(
        packed.indices,
        packed.rows,
        packed.locals.split("\n"),
        packed.domain,
        packed.letters,
        packed.attempts,
        packed.crashes,
        packed.reply,
        strict=True,
    )
    for index, difference, local, host, letter, attempts, crashes, place in people:
        row += difference
        entry = Entry(index, row, f"{local}@{packed.domains[host]}", letter, attempts, crashes, packed.accepted_ms)
        if place < 0:
            entry.events = list(packed.histories.get(index, ()))
        else:
            reason, text, phase, failure, code, enhanced = packed.replies[place]
            if text is not None and "\0" in text:
                text = text.replace("\0", next(queue_ids), 1)
            wire, at, begun, smtp = next(columns)
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
