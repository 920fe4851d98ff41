"""Dropping: a draft is removed with everything stored for it, in an order that bears being killed at any step."""

from typing import TYPE_CHECKING

from mailer.backends.redis.index import shards_in_use
from mailer.backends.redis.scripts import DROP, FORGET

if TYPE_CHECKING:
    from mailer.backends.redis.keys import Keys
    from mailer.backends.redis.server import Server

_BATCH = 1000


async def drop(redis: "Server", keys: "Keys", campaign_id: str, key: str) -> None:
    """Remove a draft, or what is left of one. A campaign that was sealed is left alone."""
    record, base = keys.campaign(campaign_id), keys.base(campaign_id)
    if not await DROP(redis, [record]):
        return
    # Its chunks first: an index without them would pass for recipients that were accepted.
    chunks, indexed = await redis.hmget(record, ["chunks", "indexed"])
    runs = await redis.smembers(base + "runs")
    names = [f"{base}{part}:{n}" for n in range(int(chunks or 0)) for part in "masofkg"]
    names += shards_in_use(base, int(indexed or 0))
    files = {*await redis.hkeys(base + "r"), *await redis.smembers(base + "u")}
    names += [f"{base}b:{digest.decode()}" for digest in files]
    names += [f"{base}l:{run.decode()}" for run in runs]
    names += [base + part for part in ("r", "w", "u", "ref", "open", "due", "h", "l", "la", "runs")]
    for start in range(0, len(names), _BATCH):
        await redis.unlink(*names[start : start + _BATCH])
    await redis.zrem(keys.campaigns, campaign_id)
    # There when its producer was killed in the moment of sealing it.
    await redis.srem(keys.live, campaign_id)
    await FORGET(redis, [keys.by_key], key, campaign_id)
    await redis.unlink(record)
