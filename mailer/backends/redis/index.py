"""The index of addresses: which chunk of a campaign holds whom, in shards that `accept.lua` fills."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailer.backends.redis.server import Server

SHARDS = (100, 1_000, 10_000, 100_000)
"""Shards by generation, as `accept.lua` makes them."""


def hash_of(key: str) -> bytes:
    """Eight bytes that stand for an address, by its key, in the index."""
    return hashlib.blake2b(key.encode(), digest_size=8).digest()


async def chunks_of(redis: "Server", base: str, keys: Sequence[str]) -> dict[str, int]:
    """The chunk of each of these address keys; those that are no recipients are left out."""
    async with redis.pipeline(transaction=False) as pipe:
        for key in keys:
            for name in shards_of(base, key):
                pipe.hget(name, hash_of(key))
        answers = await pipe.execute()
    found = {}
    for place, key in enumerate(keys):
        chunks = [int(chunk) for chunk in answers[place * len(SHARDS) : (place + 1) * len(SHARDS)] if chunk is not None]
        if chunks:
            found[key] = chunks[0]
    return found


def shards_of(base: str, key: str) -> list[str]:
    """The shard of an address in every generation of the index."""
    number = int.from_bytes(hash_of(key)[:4], "big")
    return [f"{base}x:{generation}:{number % shards}" for generation, shards in enumerate(SHARDS)]


def shards_in_use(base: str, indexed: int) -> Iterator[str]:
    """Every shard that may hold something when so many addresses are indexed."""
    room = 0
    for generation, shards in enumerate(SHARDS):
        yield from (f"{base}x:{generation}:{shard}" for shard in range(shards))
        room += shards * 100
        if indexed < room:
            return
