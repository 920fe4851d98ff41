"""The do-not-send list: addresses that no campaign may write to, each with why and since when.

A list that was kept and is gone is no empty list: nobody is sent to before the operator has put it back (E519).
"""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from mailer.backends.redis.scripts import Script
from mailer.policy.addressing import parse_address
from mailer.vocabulary.errors import QueueError

if TYPE_CHECKING:
    from mailer.backends.redis.keys import Keys
    from mailer.backends.redis.server import Server
    from mailer.vocabulary.chunk import Claim
    from mailer.vocabulary.outcome import Outcome


BATCH = 500
"""Addresses that travel in one round trip."""
LISTED = Script("listed")
_SUPPRESS = Script("suppress")
_SIGN = b""
"""The field of the hash that says that it is the list which was kept; no address is empty."""


class Suppression(msgspec.Struct, frozen=True, kw_only=True):
    """Why an address is on the list, since when (Unix ms), and the campaign that put it there."""

    reason: str
    since_ms: int
    campaign: str | None = None


def suppression_note(outcome: "Outcome", claim: "Claim") -> str:
    """The entry that a permanent refusal of an address leaves behind."""
    reason = str(outcome.reply) if outcome.reply is not None else outcome.reason or "refused"
    note = Suppression(reason=reason[:200], since_ms=claim.redis_ms, campaign=claim.campaign_id)
    return msgspec.json.encode(note).decode()


_decode = msgspec.json.Decoder(Suppression).decode


class SuppressionList:
    """The list in Redis, one for all campaigns under a prefix."""

    def __init__(self, redis: "Server", keys: "Keys") -> None:
        self._redis = redis
        self._keys = keys

    async def add(self, address: str, reason: str) -> bool:
        """Put an address on the list, however it is spelt. False when it was there."""
        return bool(await self.add_all([(parse_address(address).key, reason)]))

    async def add_all(self, entries: Sequence[tuple[str, str]], *, is_whole: bool = False) -> int:
        """Put (key, reason) pairs on the list; who is there keeps his reason. Returns how many are new.

        A list that is lost stays lost with them, unless `is_whole` says that these are everybody who belongs on it.
        """
        now, added = int(time.time() * 1000), 0
        batches = [entries[start : start + BATCH] for start in range(0, len(entries), BATCH)]
        for batch in batches:
            words = [word for key, reason in batch for word in (key, _note(reason, now))]
            added += await _SUPPRESS(self._redis, [self._keys.suppressed], "", *words)
        if is_whole:
            await _SUPPRESS(self._redis, [self._keys.suppressed], "1")
        return added

    async def is_lost(self) -> bool:
        """True when there was a list and it is gone, or something else stands in its place."""
        return not await LISTED(self._redis, [self._keys.suppressed])

    async def check(self) -> None:
        """Raises `QueueError` E519 when the list is lost."""
        if await self.is_lost():
            raise list_lost(self._keys.suppressed)

    async def remove(self, key: str) -> bool:
        """Take an address off the list, by its key. False when it was not there."""
        return bool(await self._redis.hdel(self._keys.suppressed, key))

    async def why(self, key: str) -> Suppression | None:
        """Why an address is on the list, by its key; None when it is not. Raises `QueueError` E519."""
        await self.check()
        note = await self._redis.hget(self._keys.suppressed, key)
        return _decode(note) if note is not None else None

    async def entries(self) -> list[tuple[str, Suppression]]:
        """Everybody on the list, by key in the order of the alphabet. Raises `QueueError` E519."""
        await self.check()
        found: dict[bytes, bytes] = {}
        cursor = 0
        while True:
            cursor, some = await self._redis.hscan(self._keys.suppressed, cursor, count=1000)
            found |= some
            if not cursor:
                found.pop(_SIGN, None)
                return [(key.decode(), _decode(found[key])) for key in sorted(found)]


def list_lost(key: str) -> QueueError:
    """E519: nobody can tell any more who asked not to be written to."""
    return QueueError(
        "E519",
        f"the do-not-send list is lost ({key})",
        why="It was kept in this ledger, and is gone or is not what mailer has written.",
        hint="put back the append-only file, or mailer suppress import FILE   with everybody who belongs on it",
        safe="Nothing is claimed or sent before; outcomes of what was on the wire are recorded.",
        retryable=True,
    )


def _note(reason: str, since_ms: int) -> bytes:
    return msgspec.json.encode(Suppression(reason=reason, since_ms=since_ms))
