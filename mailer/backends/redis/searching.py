"""Search: who is a recipient of a campaign, and in which of its chunks.

The index knows a recipient by address, and copies and kept duplicates by address and row. A campaign that has any of
those (`by_row`) is searched by reading its chunks.
"""

from array import array
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TYPE_CHECKING

from mailer.backends.redis.chunk_parts import read_people
from mailer.backends.redis.index import chunks_with, hash_of
from mailer.policy.addressing import key_of
from mailer.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from mailer.backends.redis.keys import Keys
    from mailer.backends.redis.server import Server

CHUNKS_AT_ONCE = 32


async def chunks_of(redis: "Server", keys: "Keys", campaign_id: str, wanted: Sequence[str]) -> dict[str, set[int]]:
    """The chunks of each of these address keys; those that are no recipients are left out."""
    base = keys.base(campaign_id)
    found: dict[str, set[int]] = {}
    if await redis.hget(keys.campaign(campaign_id), "by_row") is None:
        for key, chunk in zip(wanted, await chunks_with(redis, base, list(map(hash_of, wanted))), strict=True):
            if chunk is not None:
                found[key] = {chunk}
        return found
    looked_for = frozenset(wanted)
    async for chunk, emails in _people(redis, base, range(await _chunks(redis, keys, campaign_id))):
        for key in looked_for.intersection(map(key_of, emails)):
            found.setdefault(key, set()).add(chunk)
    return found


class Members:
    """Tells who is a recipient of one campaign, again and again, in eight bytes for each where chunks must be read."""

    def __init__(self, redis: "Server", keys: "Keys", campaign_id: str) -> None:
        self._redis = redis
        self._keys = keys
        self._campaign_id = campaign_id
        self._read = 0
        self._hashes = array("Q")

    async def among(self, addresses: Sequence[str]) -> frozenset[str]:
        """Those of the addresses that are recipients. Raises `UsageError` E109 when there is no such campaign."""
        name = self._keys.campaign(self._campaign_id)
        state, by_row = await self._redis.hmget(name, ["state", "by_row"])
        if state is None or state == b"dropped":
            raise UsageError("E109", f"no campaign {self._campaign_id!r}", hint="mailer status   lists the ids")
        hashes = [hash_of(key_of(address)) for address in addresses]
        if by_row is None:
            chunks = await chunks_with(self._redis, self._keys.base(self._campaign_id), hashes)
            return frozenset(address for address, chunk in zip(addresses, chunks, strict=True) if chunk is not None)
        await self._read_more()
        return frozenset(address for address, hash_ in zip(addresses, hashes, strict=True) if self._has(hash_))

    async def _read_more(self) -> None:
        """Read the chunks that came after the last look: nobody ever joins a chunk or leaves it."""
        numbers = range(self._read, await _chunks(self._redis, self._keys, self._campaign_id))
        base = self._keys.base(self._campaign_id)
        async for _, emails in _people(self._redis, base, numbers):
            self._hashes.extend(int.from_bytes(hash_of(key_of(email)), "big") for email in emails)
        if numbers:
            self._hashes = array("Q", sorted(self._hashes))
            self._read = numbers.stop

    def _has(self, hash_: bytes) -> bool:
        number = int.from_bytes(hash_, "big")
        place = bisect_left(self._hashes, number)
        return place < len(self._hashes) and self._hashes[place] == number


async def _people(redis: "Server", base: str, numbers: range) -> AsyncIterator[tuple[int, Iterable[str]]]:
    for start in range(numbers.start, numbers.stop, CHUNKS_AT_ONCE):
        some = range(start, min(numbers.stop, start + CHUNKS_AT_ONCE))
        for chunk, emails in zip(some, await read_people(redis, base, some), strict=True):
            yield chunk, emails


async def _chunks(redis: "Server", keys: "Keys", campaign_id: str) -> int:
    return int(await redis.hget(keys.campaign(campaign_id), "chunks") or 0)
