"""What heals: claims of dead workers are given back, lost jobs are made again, and what is due begins."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog
from redis.exceptions import ResponseError

from mailer.backends.redis.chunk_checks import UNREADABLE
from mailer.backends.redis.closing import retire, sweep_chunks
from mailer.backends.redis.damage import is_damage
from mailer.backends.redis.reviving import hand_in_again, hand_in_all
from mailer.backends.redis.scripts import TAKE_OVER
from mailer.backends.redis.server import redis_ms
from mailer.failpoints import reached
from mailer.vocabulary.campaign import CampaignState

if TYPE_CHECKING:
    from mailer.backends.redis.campaigns import Campaigns
    from mailer.backends.redis.fleet import Fleet
    from mailer.backends.redis.jobs import Jobs

SCAN = 1000
"""Open chunks of a campaign whose jobs are looked for in one turn."""

log = structlog.get_logger("mailer.ledger")


class RedisReconciler:
    """Implements `interfaces.ledger.ReconcilerLedger`."""

    def __init__(self, campaigns: "Campaigns", fleet: "Fleet", jobs: "Jobs", owner: str) -> None:
        self._campaigns = campaigns
        self._redis = campaigns.redis
        self._keys = campaigns.keys
        self._fleet = fleet
        self._jobs = jobs
        self._owner = owner
        self._cursors: dict[str, int] = {}
        self._damaged: set[str] = set()

    async def lead(self) -> bool:
        """True for the one worker that reconciles now."""
        return await self._fleet.lead(self._owner)

    async def take_over(self) -> int:
        """Give back what dead workers held. Returns recipients moved."""
        reached("in_reconciler")
        holders: list[tuple[str, str, str]] = []
        for campaign_id in await self._live():
            with self._apart(campaign_id):
                for holder in await self._redis.hkeys(self._keys.base(campaign_id) + "h"):
                    chunk, _, token = holder.decode("ascii", "replace").partition(":")
                    if chunk.isdecimal() and token:
                        holders.append((campaign_id, chunk, token))
        # Asked for after the holders: whoever claims has beaten before, so nobody who is new is taken for dead.
        known, living = await self._fleet.census()
        moved = 0
        for campaign_id, chunk, token in holders:
            if token.partition(".")[0] not in living:
                with self._apart(campaign_id):
                    key, base = self._keys.campaign(campaign_id), self._keys.base(campaign_id)
                    moved += await TAKE_OVER(self._redis, [key], base, chunk, token, 1)
                    reached("in_rescue")
                    await self._again(campaign_id, [int(chunk)])
        await self._fleet.bury([worker for worker in known if worker.owner not in living])
        return moved

    async def revive(self) -> int:
        """Begin what is scheduled; make jobs for chunks that are due, or open without one. Returns jobs made."""
        made = 0
        now = await redis_ms(self._redis)
        for campaign_id in await self._live():
            with self._apart(campaign_id):
                made += await self._care(campaign_id, now)
        return made

    async def _care(self, campaign_id: str, now: int) -> int:
        """The same for one campaign."""
        made = 0
        base = self._keys.base(campaign_id)
        state = await self._redis.hget(self._keys.campaign(campaign_id), "state")
        if state == b"scheduled":
            made += await self._begin(campaign_id, now)
        elif state == b"running":
            made += await self._again(campaign_id, await self._due(campaign_id, now))
            made += await self._lost(campaign_id)
        elif state not in (b"paused", b"draft") and not await self._redis.exists(base + "open"):
            if await retire(self._redis, self._keys, campaign_id):
                self._cursors.pop(campaign_id, None)
        elif state == b"cancelled":
            # Whoever cancelled it may have died over it, and what was in flight has come back meanwhile.
            chunks = await self._redis.zrange(base + "open", 0, SCAN)
            await sweep_chunks(self._redis, self._keys, campaign_id, [int(chunk) for chunk in chunks])
        elif state == b"finished":
            # Final, but some chunk is not packed yet: a run without claims does that.
            made += await self._lost(campaign_id)
        return made

    @contextmanager
    def _apart(self, campaign_id: str) -> Iterator[None]:
        """What somebody has planted in one campaign keeps no other from being healed. It is said once."""
        try:
            yield
        except (*UNREADABLE, ResponseError) as error:
            if not is_damage(error):
                raise
            if campaign_id not in self._damaged:
                self._damaged.add(campaign_id)
                log.error("a campaign cannot be looked after", campaign=campaign_id, cause=str(error)[:200])

    async def _due(self, campaign_id: str, now: int) -> list[int]:
        """Chunks with a due retry and no job yet. They count as due until somebody claims them."""
        base = self._keys.base(campaign_id)
        chunks = [int(chunk) for chunk in await self._redis.zrangebyscore(base + "due", "-inf", now)]
        async with self._redis.pipeline(transaction=False) as pipe:
            for chunk in chunks:
                pipe.zscore(base + "open", chunk)
            generations = await pipe.execute()
        found = zip(chunks, generations, strict=True)
        waiting = [(campaign_id, chunk, int(generation)) for chunk, generation in found if generation is not None]
        return [chunk for _, chunk, _ in await self._jobs.missing(waiting)]

    async def _again(self, campaign_id: str, chunks: list[int]) -> int:
        return await hand_in_again(self._redis, self._keys, self._jobs, campaign_id, chunks)

    async def _begin(self, campaign_id: str, now: int) -> int:
        """Let a scheduled campaign run, or pause it, when its time has come."""
        at = int(await self._redis.hget(self._keys.campaign(campaign_id), "at") or 0)
        if at > now or await self._campaigns.begin(campaign_id, at) is not CampaignState.RUNNING:
            return 0
        return await hand_in_all(self._redis, self._keys, self._jobs, campaign_id)

    async def _lost(self, campaign_id: str) -> int:
        """Open chunks without a job, a holder or a time when they are due; a part of them each turn."""
        base = self._keys.base(campaign_id)
        cursor, found = await self._redis.zscan(base + "open", self._cursors.get(campaign_id, 0), count=SCAN)
        self._cursors[campaign_id] = int(cursor)
        held = {int(holder.partition(b":")[0]) for holder in await self._redis.hkeys(base + "h")}
        resting = {int(chunk) for chunk in await self._redis.zrange(base + "due", 0, -1)}
        idle = [
            (campaign_id, int(chunk), int(generation))
            for chunk, generation in found
            if int(chunk) not in held and int(chunk) not in resting
        ]
        return await self._again(campaign_id, [chunk for _, chunk, _ in await self._jobs.missing(idle)])

    async def next_due_s(self) -> float | None:
        """Seconds until the next retry is due or the next scheduled campaign begins, or None."""
        now = await redis_ms(self._redis)
        times: list[float] = []
        for campaign_id in await self._live():
            with self._apart(campaign_id):
                state, at = await self._redis.hmget(self._keys.campaign(campaign_id), ["state", "at"])
                if state == b"scheduled" and at is not None:
                    times.append(int(at))
                elif state == b"running":
                    # Those that are due already have their jobs; to look again at once would change nothing.
                    key = self._keys.base(campaign_id) + "due"
                    first = await self._redis.zrangebyscore(key, f"({now}", "+inf", start=0, num=1, withscores=True)
                    times += [score for _, score in first]
        return max(0.0, (min(times) - now) / 1000) if times else None

    async def _live(self) -> list[str]:
        return [campaign_id.decode("utf-8", "replace") for campaign_id in await self._redis.smembers(self._keys.live)]
