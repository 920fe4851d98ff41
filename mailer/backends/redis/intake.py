"""The producer's side of the ledger: chunks are stored whole or not at all, and a draft runs only when it is sealed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from mailer.backends.redis.campaigns import Campaigns
from mailer.backends.redis.dropping import drop
from mailer.backends.redis.entries import Roster, write_messages, write_roster
from mailer.backends.redis.events import LETTERS, event_of, frame
from mailer.backends.redis.frames import Frames
from mailer.backends.redis.index import hash_of
from mailer.backends.redis.scripts import ACCEPT, COMPLETE, SEAL
from mailer.backends.redis.server import redis_ms
from mailer.backends.redis.zstd import compress, decompress
from mailer.policy.addressing import key_of
from mailer.vocabulary.chunk import Attempt, Draft
from mailer.vocabulary.recipient import LeftOut

if TYPE_CHECKING:
    from mailer.backends.redis.jobs import Jobs
    from mailer.vocabulary.campaign import Campaign, CampaignStatus

LEFT_OUT_TTL_S = 7 * 86400
"""How long the rows left out by a run that never sealed its campaign are kept."""

_encode = msgspec.msgpack.Encoder().encode


class RedisIntake:
    """Implements `interfaces.ledger.IntakeLedger`."""

    def __init__(self, campaigns: Campaigns, jobs: "Jobs") -> None:
        self._campaigns = campaigns
        self._redis = campaigns.redis
        self._keys = campaigns.keys
        self._jobs = jobs
        self._frames: dict[str, Frames] = {}

    async def open(self, proposal: "Campaign") -> "Campaign":
        """Create the campaign unless its key is known; return the one that stands. Raises `UsageError` E205."""
        return await self._campaigns.open(proposal)

    async def status(self, campaign_id: str) -> "CampaignStatus":
        """Where the campaign stands."""
        return await self._campaigns.status(campaign_id)

    async def accept(self, campaign: "Campaign", drafts: Sequence[Draft]) -> frozenset[str]:
        """Store the drafts as one chunk, or nothing when some of their addresses are there already; those are returned.

        A repeated call after a lost reply finds all of them there.
        """
        accepted_ms = await redis_ms(self._redis)
        base = self._keys.base(campaign.id)
        messages = {}
        log = b""
        nobody = Attempt(begun_ms=accepted_ms, ended_ms=accepted_ms)
        for index, draft in enumerate(drafts):
            if draft.outcome is None:
                frames = await self._frames_of(campaign, draft.content)
                messages[index] = frames.compress(draft.content)
            else:
                log += frame(event_of(index, draft.outcome, nobody))
        roster = Roster(
            accepted_ms, list(range(len(drafts))), [draft.row for draft in drafts], [draft.email for draft in drafts]
        )
        answer: list[int] = await ACCEPT(
            self._redis,
            [self._keys.campaign(campaign.id)],
            base,
            b"".join(hash_of(key_of(draft.email)) for draft in drafts),
            "".join(LETTERS[draft.state] for draft in drafts),
            write_messages(messages),
            write_roster(roster),
            log,
        )
        if answer[0] != -1:
            return frozenset(drafts[index].email for index in answer)
        if answer[2] == b"running":  # type: ignore[comparison-overlap]
            await self._jobs.enqueue([(campaign.id, answer[1], 0)])
        return frozenset()

    async def _frames_of(self, campaign: "Campaign", content: bytes) -> Frames:
        """The campaign's first message is its reference; two producers agree on whichever came first."""
        if (frames := self._frames.get(campaign.id)) is None:
            key = self._keys.base(campaign.id) + "ref"
            await self._redis.set(key, compress(content, level=19), nx=True)
            frames = self._frames[campaign.id] = await read_frames(self._campaigns, campaign.id)
        return frames

    async def leave_out(self, campaign: "Campaign", run: str, rows: Sequence[LeftOut]) -> None:
        """Keep rows that never become recipients; they are the campaign's own once this run has sealed it."""
        if not rows:
            return
        key, runs = f"{self._keys.base(campaign.id)}l:{run}", self._keys.base(campaign.id) + "runs"
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.rpush(key, compress(_encode(rows), level=6))
            pipe.expire(key, LEFT_OUT_TTL_S)
            pipe.sadd(runs, run)
            pipe.expire(runs, LEFT_OUT_TTL_S)
            await pipe.execute()

    async def seal(self, campaign: "Campaign", run: str, *, invalid: int, duplicate: int, complete: bool) -> bool:
        """The source was read to the end: the draft runs, and every chunk gets its job."""
        await self._redis.sadd(self._keys.live, campaign.id)
        sealed = await SEAL(
            self._redis,
            [self._keys.campaign(campaign.id)],
            self._keys.base(campaign.id),
            run,
            invalid,
            duplicate,
            int(complete),
        )
        if sealed:
            # A producer that dies here loses nothing: the reconciler makes jobs for open chunks that have none.
            opened = await self._redis.zrange(self._keys.base(campaign.id) + "open", 0, -1, withscores=True)
            await self._jobs.enqueue([(campaign.id, int(chunk), int(generation)) for chunk, generation in opened])
        return bool(sealed)

    async def complete(self, campaign: "Campaign", run: str, *, invalid: int, duplicate: int) -> None:
        """The second pass has stored the rest."""
        key, base = self._keys.campaign(campaign.id), self._keys.base(campaign.id)
        await COMPLETE(self._redis, [key], base, run, invalid, duplicate)

    async def drop(self, campaign: "Campaign") -> None:
        """Remove a draft and everything stored for it; a sealed campaign is left alone."""
        await drop(self._redis, self._keys, campaign.id, campaign.key)

    async def queued_bytes(self, campaign: "Campaign") -> int:
        """Payload bytes of recipients that are not final."""
        return int(await self._redis.hget(self._keys.campaign(campaign.id), "bytes") or 0)

    async def suppressed(self, addresses: Sequence[str]) -> frozenset[str]:
        """Those of the addresses that are on the suppression list."""
        if not addresses:
            return frozenset()
        found = await self._redis.hmget(self._keys.suppressed, [key_of(address) for address in addresses])
        return frozenset(address for address, value in zip(addresses, found, strict=True) if value is not None)


async def read_frames(campaigns: Campaigns, campaign_id: str) -> Frames:
    """The campaign's codec, made from its reference message."""
    reference = await campaigns.redis.get(campaigns.keys.base(campaign_id) + "ref")
    return Frames(decompress(reference) if reference is not None else b"")
