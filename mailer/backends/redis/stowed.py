"""What is remembered of a claim that has ended: its operations in one piece, some sixty bytes each instead of 500."""

from collections.abc import Collection
from typing import Any

from msgspec import Struct, msgpack

from mailer.backends.redis.operation import Operation
from mailer.backends.redis.zstd import compress, decompress

LEVEL = 1
"""As for what is packed: little more is to be had, and it is on the way of every message."""

_encode = msgpack.Encoder().encode
_decode = msgpack.Decoder(list[list[Any]]).decode


class Stowed(Struct, frozen=True, gc=False):
    """The operations of one claim, all of them answered, and what it takes to know when they may be forgotten."""

    count: int
    kept_at: float
    """Of the youngest."""
    content: bytes

    @classmethod
    def of(cls, operations: Collection[Operation]) -> "Stowed":
        """Put them away as they are."""
        kept_at = max([operation.kept_at for operation in operations])
        # What they have in common costs nothing once they are compressed together.
        return cls(len(operations), kept_at, compress(_encode(list(operations)), LEVEL))

    def operations(self) -> list[Operation]:
        """The same again, in the same order. That takes a while; only who has to put something back needs them."""
        stowed = _decode(decompress(self.content))
        campaign_id, chunk, _, token = stowed[0][:4]
        return [Operation(campaign_id, chunk, index, token, *rest) for _, _, index, _, *rest in stowed]
