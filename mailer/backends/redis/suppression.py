"""The do-not-send list: addresses that no campaign may write to, each with why and since when."""

import time
from typing import TYPE_CHECKING

import msgspec

from mailer.policy.addressing import parse_address

if TYPE_CHECKING:
    from mailer.backends.redis.keys import Keys
    from mailer.backends.redis.server import Server
    from mailer.vocabulary.chunk import Claim
    from mailer.vocabulary.outcome import Outcome


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


class SuppressionList:
    """The list in Redis, one for all campaigns under a prefix."""

    def __init__(self, redis: "Server", keys: "Keys") -> None:
        self._redis = redis
        self._keys = keys

    async def add(self, address: str, reason: str) -> bool:
        """Put an address on the list, however it is spelt. False when it was there."""
        note = msgspec.json.encode(Suppression(reason=reason, since_ms=int(time.time() * 1000)))
        return bool(await self._redis.hsetnx(self._keys.suppressed, parse_address(address).key, note))
