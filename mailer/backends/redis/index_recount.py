"""The index of addresses against the recipients in the chunks, in a few bytes for each chunk."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mailer.backends.redis.index import chunks_with, hash_of, shards_in_use
from mailer.policy.addressing import key_of

if TYPE_CHECKING:
    from mailer.backends.redis.server import Server

SHARDS_AT_ONCE = 100

Person = tuple[str, int]
"""Address and row."""


class IndexRecount:
    """Finds recipients that a second producer would accept once more, because the index does not know them.

    The index has 64 bits of a hash for each recipient and the chunk it is in. Of every chunk only the sum is kept, of
    what the index has and of what the chunk holds; where the two differ, its recipients are looked up one by one.
    That is so too where some are known by address and row, which a sum cannot tell.
    """

    def __init__(self, redis: "Server", base: str) -> None:
        self._redis = redis
        self._base = base
        self._sums: list[int] | None = None

    async def read(self, chunks: int, indexed: int) -> None:
        """Add up the index, of a campaign with so many chunks and addresses."""
        self._sums = [0] * chunks
        names = list(shards_in_use(self._base, indexed))
        for start in range(0, len(names), SHARDS_AT_ONCE):
            async with self._redis.pipeline(transaction=False) as pipe:
                for name in names[start : start + SHARDS_AT_ONCE]:
                    pipe.hgetall(name)
                shards = await pipe.execute()
            for shard in shards:
                for hash_, chunk in shard.items():
                    # What came later belongs to chunks that are not looked at.
                    if (number := int(chunk)) < chunks:
                        self._sums[number] += int.from_bytes(hash_, "big")

    async def unindexed(self, chunk: int, people: Sequence[Person]) -> int:
        """How many of these recipients of a chunk are not in the index."""
        if self._sums is not None and self._sums[chunk] == _sum(email for email, _ in people):
            return 0
        hashes = [hash_of(key_of(email), place) for email, row in people for place in (None, row)]
        found = await chunks_with(self._redis, self._base, hashes)
        return sum(chunk not in pair for pair in zip(found[::2], found[1::2], strict=True))


def _sum(emails: Iterable[str]) -> int:
    return sum(int.from_bytes(hash_of(key_of(email)), "big") for email in emails)
