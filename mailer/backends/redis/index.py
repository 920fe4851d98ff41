"""The index of addresses: which chunk of a campaign holds whom, in shards that `accept.lua` fills."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailer.backends.redis.server import Server

SHARDS = (100, 1_000, 10_000, 100_000)
"""Shards by generation, as `accept.lua` makes them."""


def hash_of(key: str, row: int | None = None) -> bytes:
    """Eight bytes that stand in the index for an address, by its key, or for an address in one row."""
    # No address has a NUL in it, so no two of these read alike.
    name = key if row is None else f"{key}\0{row}"
    return hashlib.blake2b(name.encode(), digest_size=8).digest()


async def chunks_with(redis: "Server", base: str, hashes: Sequence[bytes]) -> list[int | None]:
    """The chunk of each of these hashes, None for those that are not in the index."""
    async with redis.pipeline(transaction=False) as pipe:
        for hash_ in hashes:
            for name in shards_of(base, hash_):
                pipe.hget(name, hash_)
        answers = await pipe.execute()
    each = [answers[start : start + len(SHARDS)] for start in range(0, len(answers), len(SHARDS))]
    return [next((int(chunk) for chunk in found if chunk is not None), None) for found in each]


def shards_of(base: str, hash_: bytes) -> list[str]:
    """The shard of a hash in every generation of the index."""
    number = int.from_bytes(hash_[:4], "big")
    return [f"{base}x:{generation}:{number % shards}" for generation, shards in enumerate(SHARDS)]


def shards_in_use(base: str, indexed: int) -> Iterator[str]:
    """Every shard that may hold something when so many addresses are indexed."""
    room = 0
    for generation, shards in enumerate(SHARDS):
        yield from (f"{base}x:{generation}:{shard}" for shard in range(shards))
        room += shards * 100
        if indexed < room:
            return
