"""The sides of one ledger, opened together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mailer.backends.redis.campaigns import Campaigns
from mailer.backends.redis.connection import connect
from mailer.backends.redis.control import RedisControl
from mailer.backends.redis.fleet import Fleet
from mailer.backends.redis.intake import RedisIntake
from mailer.backends.redis.jobs import Jobs
from mailer.backends.redis.keys import Keys
from mailer.backends.redis.reading import RedisReading
from mailer.backends.redis.server import Server
from mailer.backends.redis.suppression import SuppressionList


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledgers:
    """What a producer or a reader of one queue server works with."""

    url: str
    redis: Server
    keys: Keys
    campaigns: Campaigns
    intake: RedisIntake
    reading: RedisReading
    control: RedisControl
    fleet: Fleet
    jobs: Jobs
    suppression: SuppressionList


@asynccontextmanager
async def open_ledgers(url: str, *, prefix: str, lease_s: float) -> AsyncIterator[Ledgers]:
    """The ledger behind a queue URL; connects when first used."""
    redis = connect(url)
    keys = Keys(prefix)
    campaigns = Campaigns(redis, keys)
    jobs = Jobs(redis, keys, lease_s=lease_s)
    try:
        yield Ledgers(
            url=url,
            redis=redis,
            keys=keys,
            campaigns=campaigns,
            intake=RedisIntake(campaigns, jobs),
            reading=RedisReading(campaigns),
            control=RedisControl(campaigns, jobs),
            fleet=Fleet(redis, keys, lease_s),
            jobs=jobs,
            suppression=SuppressionList(redis, keys),
        )
    finally:
        await redis.aclose()
