"""The producer's side of the ledger: chunks are stored whole or not at all, and a draft runs only when it is sealed."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec
from redis import exceptions

from mailer.backends.redis.attachments import upload
from mailer.backends.redis.campaigns import Campaigns
from mailer.backends.redis.dropping import drop
from mailer.backends.redis.entries import Roster, write_messages, write_roster
from mailer.backends.redis.events import LETTERS, event_of, frame
from mailer.backends.redis.frames import Frames, read_frames
from mailer.backends.redis.index import hash_of
from mailer.backends.redis.scripts import ACCEPT, COMPLETE, PROLONG, SEAL
from mailer.backends.redis.searching import Members
from mailer.backends.redis.server import redis_ms
from mailer.backends.redis.zstd import compress, decompress
from mailer.failpoints import reached
from mailer.interfaces.ledger import CampaignGoneError
from mailer.interfaces.rendering import Packed
from mailer.policy.addressing import key_of
from mailer.vocabulary.campaign import CampaignState
from mailer.vocabulary.chunk import Attempt, Draft
from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.recipient import LeftOut

if TYPE_CHECKING:
    from mailer.backends.redis.jobs import Jobs
    from mailer.interfaces.ledger import Ranges
    from mailer.vocabulary.campaign import Campaign, CampaignStatus

LEFT_OUT_TTL_S = 7 * 86400
"""How long the rows left out by a run that never sealed its campaign are kept."""
REFERENCE_LEVEL = 9
"""Of zstd for the reference message: whoever sends one urgent message waits for it, and the highest takes 15 times as
long for a tenth less."""
STORED, MISSING = -1, -2
"""Answers of `accept.lua`; any other are the places of who is there already."""

_encode = msgspec.msgpack.Encoder().encode
_encode_ranges = msgspec.json.Encoder().encode


class RedisIntake:
    """Implements `interfaces.ledger.IntakeLedger`."""

    def __init__(self, campaigns: Campaigns, jobs: "Jobs") -> None:
        self._campaigns = campaigns
        self._redis = campaigns.redis
        self._keys = campaigns.keys
        self._jobs = jobs
        self._frames: dict[str, Frames] = {}
        self._stored: Counter[str] = Counter()
        self._members: dict[str, Members] = {}

    async def open(self, proposal: "Campaign", *, append: bool = False) -> "Campaign":
        """Create the campaign unless its key is known; return the one that stands.

        Raises `UsageError` E205 when its content is another, unless this is to be appended to it.
        """
        campaign = await self._campaigns.open(proposal, append=append)
        # What was known of others, or of one of this id that was dropped, is of no use any more.
        self._frames.clear()
        self._members.clear()
        del self._stored[campaign.id]
        return campaign

    async def status(self, campaign_id: str) -> "CampaignStatus":
        """Where the campaign stands."""
        return await self._campaigns.status(campaign_id)

    async def accept(self, campaign: "Campaign", drafts: Sequence[Draft]) -> frozenset[int]:
        """Store the drafts as one chunk, or nothing when some are there already; their places are returned.

        A repeated call after a lost reply finds all of them there. Raises `CampaignGoneError` when the campaign was
        dropped, or is finished and was not reopened; `TemplateError` E310 when a file is not what it was.
        """
        with _still_there(campaign):
            arguments = await self._chunk(campaign, drafts)
            # Ctrl-C while messages were compressed is heard here: redis-py might swallow it (gh-86296).
            await asyncio.sleep(0)
            files = {file.digest: file for draft in drafts if draft.outcome is None for file in draft.attached}
            while True:
                answer = await ACCEPT(self._redis, [self._keys.campaign(campaign.id)], *arguments, *files)
                if answer[0] != MISSING:
                    break
                # Also when it was here a moment ago: the last message that had it may have been sent meanwhile.
                for digest in answer[1:]:
                    await upload(self._redis, self._keys, campaign.id, files[digest.decode()])
        reached("after_accept")
        if answer[0] != STORED:
            return frozenset(answer)
        self._stored[campaign.id] += len(drafts)
        if answer[2] == b"running":
            await self._jobs.enqueue([(campaign.id, answer[1], 0)])
        return frozenset()

    async def _chunk(self, campaign: "Campaign", drafts: Sequence[Draft]) -> list[str | bytes | int]:
        """A chunk of these drafts as `accept.lua` reads it."""
        accepted_ms = await redis_ms(self._redis)
        messages = {}
        log = b""
        nobody = Attempt(begun_ms=accepted_ms, ended_ms=accepted_ms)
        for index, draft in enumerate(drafts):
            if draft.outcome is None:
                if isinstance(draft.content, Packed):
                    messages[index] = bytes(draft.content)
                    continue
                frames = await self._frames_of(campaign, draft.content)
                messages[index] = frames.compress(draft.content)
            else:
                log += frame(event_of(index, draft.outcome, nobody))
        roster = Roster(
            accepted_ms, list(range(len(drafts))), [draft.row for draft in drafts], [draft.email for draft in drafts]
        )
        return [
            self._keys.base(campaign.id),
            b"".join(hash_of(key_of(draft.email), draft.row if draft.by_row else None) for draft in drafts),
            "".join(LETTERS[draft.state] for draft in drafts),
            write_messages(messages),
            write_roster(roster),
            log,
            int(any(draft.by_row for draft in drafts)),
        ]

    async def _frames_of(self, campaign: "Campaign", content: bytes) -> Frames:
        """The campaign's first message is its reference; two producers agree on whichever came first."""
        if (frames := self._frames.get(campaign.id)) is None:
            key = self._keys.base(campaign.id) + "ref"
            await self._redis.set(key, compress(content, level=REFERENCE_LEVEL), nx=True)
            frames = self._frames[campaign.id] = await read_frames(self._redis, self._keys, campaign.id)
        return frames

    async def reference(self, campaign: "Campaign") -> bytes | None:
        """What the messages of a campaign are packed with: its first one, as soon as that is stored."""
        stored = await self._redis.get(self._keys.base(campaign.id) + "ref")
        return decompress(stored) if stored is not None else None

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

    async def seal(
        self,
        campaign: "Campaign",
        run: str,
        *,
        invalid: int,
        duplicate: int,
        complete: bool,
        chosen: "Ranges | None" = None,
        at_ms: int | None = None,
    ) -> bool:
        """The source was read to the end: the draft runs and every chunk gets its job, or it waits for its time.

        A time that is over is now. False when it was sealed before.
        """
        await self._redis.sadd(self._keys.live, campaign.id)
        with _still_there(campaign):
            state = await SEAL(
                self._redis,
                [self._keys.campaign(campaign.id)],
                self._keys.base(campaign.id),
                run,
                invalid,
                duplicate,
                int(complete),
                _written(chosen),
                "" if at_ms is None else at_ms,
                int(campaign.delivery.max_lateness * 1000),
                self._stored[campaign.id],
            )
        if complete:
            del self._stored[campaign.id]
        if state == b"running":
            # A producer that dies here loses nothing: the reconciler makes jobs for open chunks that have none.
            opened = await self._redis.zrange(self._keys.base(campaign.id) + "open", 0, -1, withscores=True)
            await self._jobs.enqueue([(campaign.id, int(chunk), int(generation)) for chunk, generation in opened])
        return bool(state)

    async def reopen(self, campaign: "Campaign", *, appending: str | None = None, after: int = 0) -> int:
        """More recipients are to come. Nothing happens when the list `appending` was appended to its end before.

        Raises `UsageError` E114 when it was cancelled.
        """
        names = [self._keys.campaign(campaign.id), self._keys.live]
        with _still_there(campaign):
            state, base = await PROLONG(self._redis, names, campaign.id, appending or "", after)
        if state == b"cancelled":
            raise UsageError(
                "E114",
                f"{campaign.id} is {CampaignState.CANCELLED}: it takes no more recipients",
                hint="give the list another --key to make a new campaign of it",
                safe="Nothing was changed.",
            )
        return int(base)

    async def complete(
        self,
        campaign: "Campaign",
        run: str,
        *,
        invalid: int,
        duplicate: int,
        chosen: "Ranges | None" = None,
        appended: str | None = None,
    ) -> None:
        """All that was to come is stored. May be said twice, and by two producers."""
        key, base = self._keys.campaign(campaign.id), self._keys.base(campaign.id)
        with _still_there(campaign):
            counts = (invalid, duplicate, _written(chosen), appended or "", self._stored[campaign.id])
            await COMPLETE(self._redis, [key], base, run, *counts)
        del self._stored[campaign.id]

    async def members(self, campaign_id: str, addresses: Sequence[str]) -> frozenset[str]:
        """Those of the addresses that are recipients of a campaign. Raises `UsageError` E109 when there is none."""
        if (members := self._members.get(campaign_id)) is None:
            members = self._members[campaign_id] = Members(self._redis, self._keys, campaign_id)
        return await members.among(addresses)

    async def drop(self, campaign: "Campaign") -> None:
        """Remove a draft and everything stored for it; a sealed campaign is left alone."""
        await drop(self._redis, self._keys, campaign.id, campaign.key)

    async def queued_bytes(self, campaign: "Campaign") -> int:
        """Payload bytes of recipients that are not final, with the files they carry."""
        return int(await self._redis.hget(self._keys.campaign(campaign.id), "bytes") or 0)

    async def suppressed(self, addresses: Sequence[str]) -> frozenset[str]:
        """Those of the addresses that are on the suppression list."""
        if not addresses:
            return frozenset()
        found = await self._redis.hmget(self._keys.suppressed, [key_of(address) for address in addresses])
        return frozenset(address for address, value in zip(addresses, found, strict=True) if value is not None)


_GONE = {
    "NOCAMPAIGN": "was dropped by another producer",
    "FINISHED": "was brought to its end by another producer",
    "FORGOTTEN": "has lost recipients: the queue server was started again without its last writes",
}
"""What the refusals of the scripts mean to a producer."""


def _written(chosen: "Ranges | None") -> bytes:
    return _encode_ranges(chosen) if chosen is not None else b""


@contextmanager
def _still_there(campaign: "Campaign") -> Iterator[None]:
    """Tell a producer whose campaign another one has dropped or ended meanwhile."""
    try:
        yield
    except exceptions.ResponseError as error:
        how = next((words for kind, words in _GONE.items() if str(error).startswith(kind)), None)
        if how is None:
            raise
        raise CampaignGoneError(
            "E109",
            f"{campaign.id} {how}",
            hint="run it again: what is accepted stays accepted, and nobody gets a second message",
            cause=str(error),
            retryable=True,
        ) from error
