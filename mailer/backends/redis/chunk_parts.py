"""The keys of one chunk, read together in one step and decoded."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mailer.backends.redis.entries import Entry, Roster, read_entries, read_messages, read_roster
from mailer.backends.redis.packing import unpack

if TYPE_CHECKING:
    from mailer.backends.redis.server import Server


@dataclass(frozen=True, slots=True)
class ChunkParts:
    """What stands in Redis for a chunk, as bytes; each property decodes one key and may raise `ValueError`."""

    number: int
    roster_blob: bytes | None
    log: bytes
    final: bytes
    messages_blob: bytes
    kept_blob: bytes
    values: dict[bytes, bytes] = field(repr=False)
    attached: dict[str, str]
    """The files that its messages mention, and as what (see `attachments`)."""

    @property
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
        return read_entries(roster, self.values, self.log) if roster is not None else []

    @property
    def messages(self) -> dict[int, bytes]:
        """Frames of those in `s:n`."""
        return read_messages(self.messages_blob) if self.messages_blob else {}

    @property
    def kept(self) -> dict[int, bytes]:
        """Frames of those in `f:n` that an operator may send again."""
        return read_messages(self.kept_blob) if self.kept_blob else {}

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
        people.append(emails + [entry.email for entry in (unpack(final) if final else ())])
    return people
