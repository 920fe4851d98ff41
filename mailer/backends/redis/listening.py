"""Listening to a campaign: what its recipients' histories have more than at the last look.

The ledger itself is the stream. Every event stands in `o:n` until it is packed and in `f:n` for ever after, so whoever
comes late or is slow misses nothing, and a campaign without listeners costs nothing. A look asks for the length of
`o:n` of every open chunk, and reads only chunks where it changed.
"""

from array import array
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mailer.backends.redis.campaigns import Campaigns
from mailer.backends.redis.entries import Entry, read_entries, read_roster
from mailer.backends.redis.packing import unpack
from mailer.vocabulary.event import RecipientEvent
from mailer.vocabulary.phase import Phase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mailer.backends.redis.events import Event

CHUNKS_AT_ONCE = 32
LENGTHS_AT_ONCE = 1000
LOOK_S = 0.2
LENGTHS_PER_SECOND = 4000
"""Most lengths one listener asks for in a second: about 0.2 % of a queue server's time."""


class Listener:
    """Tells every event of one campaign exactly once, from its beginning, in the order of time within a recipient.

    Remembers two bytes for each recipient: how many of its events have been told. It can miss a chunk that is
    complete, opened again by an operator and complete once more, all between two looks. Not for concurrent use.
    """

    def __init__(self, campaigns: Campaigns, campaign_id: str) -> None:
        self._redis = campaigns.redis
        self._key = campaigns.keys.campaign(campaign_id)
        self._base = campaigns.keys.base(campaign_id)
        self._campaign_id = campaign_id
        self._told: dict[int, array[int]] = {}
        self._lengths: dict[int, int] = {}
        self._closed: set[int] = set()

    @property
    def pause_s(self) -> float:
        """Seconds until the next look is due: longer where many chunks are open."""
        return max(LOOK_S, len(self._lengths) / LENGTHS_PER_SECOND)

    async def news(self) -> "AsyncIterator[RecipientEvent]":
        """What has happened since the last look, chunk by chunk."""
        chunks = int(await self._redis.hget(self._key, "chunks") or 0)
        opened = {int(chunk) for chunk in await self._redis.zrange(self._base + "open", 0, -1)}
        # Read after it was seen closed: nothing is written to it any more, unless somebody opens it again.
        closing = [chunk for chunk in range(chunks) if chunk not in opened and chunk not in self._closed]
        self._closed -= opened
        changed = await self._changed(sorted(opened))
        for chunk in closing:
            self._lengths.pop(chunk, None)
        due = sorted([*changed, *closing])
        for start in range(0, len(due), CHUNKS_AT_ONCE):
            part = due[start : start + CHUNKS_AT_ONCE]
            for chunk, entries in zip(part, await self._read(part), strict=True):
                for event in self._untold(chunk, entries):
                    yield event
        self._closed.update(closing)
        self._lengths.update(changed)

    async def _changed(self, opened: list[int]) -> dict[int, int]:
        """The open chunks whose log has another length than at the last look, with that length."""
        changed: dict[int, int] = {}
        for start in range(0, len(opened), LENGTHS_AT_ONCE):
            part = opened[start : start + LENGTHS_AT_ONCE]
            async with self._redis.pipeline(transaction=False) as pipe:
                for chunk in part:
                    pipe.strlen(f"{self._base}o:{chunk}")
                lengths = await pipe.execute()
            found = zip(part, lengths, strict=True)
            changed |= {chunk: length for chunk, length in found if self._lengths.get(chunk) != length}
        return changed

    async def _read(self, chunks: list[int]) -> list[list[Entry]]:
        async with self._redis.pipeline(transaction=True) as pipe:
            for chunk in chunks:
                for part in "fao":
                    pipe.get(f"{self._base}{part}:{chunk}")
                pipe.hgetall(f"{self._base}s:{chunk}")
            answers = await pipe.execute()
        read = []
        for k in range(len(chunks)):
            final, roster, log, values = answers[4 * k : 4 * k + 4]
            entries = unpack(final) if final else []
            if roster is not None:
                entries += read_entries(read_roster(roster), values, log or b"")
            read.append(entries)
        return read

    def _untold(self, chunk: int, entries: list[Entry]) -> list[RecipientEvent]:
        if chunk not in self._told:
            self._told[chunk] = array("H", bytes(2 * (1 + max((entry.index for entry in entries), default=-1))))
        told = self._told[chunk]
        found = []
        for entry in entries:
            fresh = entry.events[told[entry.index] :]
            told[entry.index] += len(fresh)
            found += [self._event(entry, event) for event in fresh]
        return sorted(found, key=lambda event: event.at)

    def _event(self, entry: Entry, event: "Event") -> RecipientEvent:
        return RecipientEvent(
            campaign_id=self._campaign_id,
            row=entry.row,
            email=entry.email,
            state=event.state,
            at=datetime.fromtimestamp(event.at_ms / 1000, UTC),
            code=event.code,
            enhanced_code=event.enhanced_code,
            text=event.text,
            phase=Phase(event.phase) if event.phase else None,
            reason=event.reason,
        )
