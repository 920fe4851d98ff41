"""The keys of one chunk, read together in one step and decoded."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from mailer.backends.redis.entries import Entry, Roster, read_entries, read_messages, read_roster
from mailer.backends.redis.events import frame, read_events
from mailer.backends.redis.packing import doubts_in, read_packed, unpack

if TYPE_CHECKING:
    from mailer.backends.redis.server import Server


@dataclass(frozen=True)
class ChunkParts:
    """What stands in Redis for a chunk, as bytes; each property decodes one key and may raise `ValueError`."""

    number: int
    roster_blob: bytes | None
    outcomes: bytes
    """`o:n`: of those in `s:n`, and what came late for those in `f:n`."""
    final: bytes
    messages_blob: bytes
    kept_blob: bytes
    values: dict[bytes, bytes] = field(repr=False)
    attached: dict[str, str]
    """The files that its messages mention, and as what (see `attachments`)."""

    @cached_property
    def roster(self) -> Roster | None:
        """Who is not packed, or None when everybody is."""
        return read_roster(self.roster_blob) if self.roster_blob is not None else None

    @property
    def packed(self) -> list[Entry]:
        """The final recipients in `f:n`."""
        return unpack(self.final) if self.final else []

    @property
    def unpacked(self) -> list[Entry]:
        """The recipients in `s:n`."""
        roster = self.roster
        return read_entries(roster, self.values, self.outcomes) if roster is not None else []

    @property
    def log(self) -> bytes:
        """What `o:n` has of others than those in `f:n`."""
        if not self.outcomes or not self.final:
            return self.outcomes
        packed = frozenset(read_packed(self.final).indices)
        return b"".join(frame(event) for event in read_events(self.outcomes) if event.index not in packed)

    @property
    def doubts(self) -> dict[int, str]:
        """By index, whose claim left a recipient in doubt, in `f:n` and in `s:n`."""
        waiting = {int(index): value[4:].decode() for index, value in self.values.items() if value[:1] == b"I"}
        return doubts_in(self.final) | waiting

    @property
    def messages(self) -> dict[int, bytes]:
        """Frames of those in `s:n`."""
        return read_messages(self.messages_blob) if self.messages_blob else {}

    @property
    def kept(self) -> dict[int, bytes]:
        """Frames of those in `f:n` that an operator may send again."""
        return read_messages(self.kept_blob) if self.kept_blob else {}

    @property
    def outcomes_digest(self) -> str:
        """What `digest` in the scripts' prelude says of `o:n`."""
        return hashlib.sha1(self.outcomes, usedforsecurity=False).hexdigest() if self.outcomes else ""

    @property
    def final_digest(self) -> str:
        """What `digest` in the scripts' prelude says of `f:n`."""
        return hashlib.sha1(self.final, usedforsecurity=False).hexdigest() if self.final else ""


async def read_parts(redis: "Server", base: str, numbers: Sequence[int]) -> list[ChunkParts]:
    """These chunks, all as of one moment. `base` is what the campaign's keys begin with."""
    async with redis.pipeline(transaction=True) as pipe:
        for number in numbers:
            for part in "aofmk":
                pipe.get(f"{base}{part}:{number}")
            pipe.hgetall(f"{base}s:{number}")
            pipe.hgetall(f"{base}g:{number}")
        answers = await pipe.execute()
    parts = []
    for place, number in enumerate(numbers):
        roster, log, final, messages, kept, values, files = answers[7 * place : 7 * place + 7]
        attached = {
            digest.decode("ascii", "replace"): kind.decode("ascii", "replace") for digest, kind in files.items()
        }
        blobs = (roster, log or b"", final or b"", messages or b"", kept or b"")
        parts.append(ChunkParts(number, *blobs, values, attached))
    return parts


async def read_people(redis: "Server", base: str, numbers: Sequence[int]) -> list[list[str]]:
    """The addresses in each of these chunks, all as of one moment."""
    async with redis.pipeline(transaction=True) as pipe:
        for number in numbers:
            pipe.get(f"{base}a:{number}")
            pipe.get(f"{base}f:{number}")
        answers = await pipe.execute()
    people = []
    for roster, final in zip(answers[::2], answers[1::2], strict=True):
        emails = list(read_roster(roster).emails) if roster is not None else []
        people.append(emails + (read_packed(final).emails if final else []))
    return people
