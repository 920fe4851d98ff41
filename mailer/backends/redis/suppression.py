"""The do-not-send list: addresses that no campaign may write to, each with why and since when."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from mailer.policy.addressing import parse_address

if TYPE_CHECKING:
    from mailer.backends.redis.keys import Keys
    from mailer.backends.redis.server import Server
    from mailer.vocabulary.chunk import Claim
    from mailer.vocabulary.outcome import Outcome


BATCH = 500
"""Addresses that travel in one round trip."""


class Suppression(msgspec.Struct, frozen=True, kw_only=True):
    """Why an address is on the list, since when (Unix ms), and the campaign that put it there."""

    reason: str
    since_ms: int
    campaign: str | None = None


def suppression_note(outcome: "Outcome", claim: "Claim") -> bytes:
    """The entry that a permanent refusal of an address leaves behind."""
    reason = str(outcome.reply) if outcome.reply is not None else outcome.reason or "refused"
    note = Suppression(reason=reason[:200], since_ms=claim.redis_ms, campaign=claim.campaign_id)
    return msgspec.json.encode(note)


_decode = msgspec.json.Decoder(Suppression).decode


class SuppressionList:
    """The list in Redis, one for all campaigns under a prefix."""

    def __init__(self, redis: "Server", keys: "Keys") -> None:
        self._redis = redis
        self._keys = keys

    async def add(self, address: str, reason: str) -> bool:
        """Put an address on the list, however it is spelt. False when it was there."""
        note = msgspec.json.encode(Suppression(reason=reason, since_ms=int(time.time() * 1000)))
        return bool(await self._redis.hsetnx(self._keys.suppressed, parse_address(address).key, note))

    async def add_all(self, entries: Sequence[tuple[str, str]]) -> int:
        """Put (key, reason) pairs on the list; who is there keeps his reason. Returns how many are new."""
        now, added = int(time.time() * 1000), 0
        for start in range(0, len(entries), BATCH):
            async with self._redis.pipeline(transaction=False) as pipe:
                for key, reason in entries[start : start + BATCH]:
                    note = msgspec.json.encode(Suppression(reason=reason, since_ms=now))
                    pipe.hsetnx(self._keys.suppressed, key, note)
                added += sum(map(bool, await pipe.execute()))
        return added

    async def remove(self, key: str) -> bool:
        """Take an address off the list, by its key. False when it was not there."""
        return bool(await self._redis.hdel(self._keys.suppressed, key))

    async def why(self, key: str) -> Suppression | None:
        """Why an address is on the list, by its key; None when it is not."""
        note = await self._redis.hget(self._keys.suppressed, key)
        return _decode(note) if note is not None else None

    async def entries(self) -> list[tuple[str, Suppression]]:
        """Everybody on the list, by key in the order of the alphabet."""
        found: dict[bytes, bytes] = {}
        cursor = 0
        while True:
            cursor, some = await self._redis.hscan(self._keys.suppressed, cursor, count=1000)
            found |= some
            if not cursor:
                return [(key.decode(), _decode(found[key])) for key in sorted(found)]
