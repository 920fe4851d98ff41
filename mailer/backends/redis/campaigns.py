"""Campaigns in Redis: opened once by their key, read in one step, moved from state to state."""

import secrets
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from mailer.backends.redis.damage import legible
from mailer.backends.redis.dropping import drop
from mailer.backends.redis.identity import Identity
from mailer.backends.redis.keys import Keys
from mailer.backends.redis.scripts import BEGIN, CONTROL, FORGET, OPEN
from mailer.backends.redis.server import redis_ms
from mailer.vocabulary.campaign import Campaign, CampaignState, CampaignStatus, PausedBy
from mailer.vocabulary.errors import QueueError, UsageError
from mailer.vocabulary.totals import Totals

if TYPE_CHECKING:
    from mailer.backends.redis.server import Server

_encode = msgspec.json.Encoder().encode
_read_record = lru_cache(maxsize=16)(msgspec.json.Decoder(Campaign).decode)  # a worker reads it for every chunk
_DROPPED = b"dropped"
_read_ranges = msgspec.json.Decoder(tuple[tuple[int, int], ...]).decode


class Campaigns:
    """Every campaign of one queue server under one prefix."""

    def __init__(self, redis: "Server", keys: Keys) -> None:
        self.redis = redis
        self.keys = keys
        self._identity = Identity(redis, keys)

    async def open(self, proposal: Campaign, *, append: bool = False) -> Campaign:
        """Create the campaign unless its key is known; return the one that stands.

        Raises `UsageError`: E205, its content is another, unless this is to be appended to it; E514, the ledger is not
        the one that was here at the first call: nothing is created in a void.
        """
        await self._identity.check()
        while True:
            known = await self.redis.hget(self.keys.by_key, proposal.key)
            campaign_id = known.decode() if known is not None else await self._reserve(proposal)
            record = _encode(replace(proposal, id=campaign_id))
            name = self.keys.campaign(campaign_id)
            opened: bytes | None = await OPEN(self.redis, [name], record, proposal.delivery.priority)
            if opened is not None:
                with legible(campaign_id):
                    standing = _read_record(opened)
                if standing.key != proposal.key:
                    # Two campaigns drew the same id at the same moment; the later one draws again.
                    await FORGET(self.redis, [self.keys.by_key], proposal.key, campaign_id)
                    continue
                await self.redis.zadd(self.keys.campaigns, {campaign_id: standing.created_ms}, nx=True)
                if await self.redis.hget(self.keys.by_key, proposal.key) == campaign_id.encode():
                    break
            # It is being dropped, or was in this moment: the rest of it goes, and the key gets a new one.
            await drop(self.redis, self.keys, campaign_id, proposal.key)
        if standing.fingerprint != proposal.fingerprint and not append:
            raise _other_content(standing, proposal)
        return standing

    async def _reserve(self, proposal: Campaign) -> str:
        for size in (2, 2, 2, 4, 8):
            candidate = f"{proposal.name}-{secrets.token_hex(size)}"
            if not await self.redis.exists(self.keys.campaign(candidate)):
                break
        await self.redis.hsetnx(self.keys.by_key, proposal.key, candidate)
        return (await self.redis.hget(self.keys.by_key, proposal.key) or candidate.encode()).decode()

    async def by_key(self, key: str) -> CampaignStatus | None:
        """Where the campaign with this idempotency key stands, if there is one. Raises `QueueError` E518.

        A draft may be dropped at any moment: then there is none.
        """
        known = await self.redis.hget(self.keys.by_key, key)
        return await self._standing(known.decode("utf-8", "replace")) if known is not None else None

    async def campaign(self, campaign_id: str) -> Campaign:
        """What was accepted under this id. Raises `UsageError` E109, `QueueError` E518."""
        with legible(campaign_id):
            record, state = await self.redis.hmget(self.keys.campaign(campaign_id), ["record", "state"])
            if record is None or state == _DROPPED:
                raise _unknown(campaign_id)
            return _read_record(record)

    async def status(self, campaign_id: str) -> CampaignStatus:
        """Where a campaign stands. Raises `UsageError` E109, `QueueError` E518."""
        status = await self._standing(campaign_id)
        if status is None:
            raise _unknown(campaign_id)
        return status

    async def _standing(self, campaign_id: str) -> CampaignStatus | None:
        with legible(campaign_id):
            return await self._status(campaign_id)

    async def _status(self, campaign_id: str) -> CampaignStatus | None:
        async with self.redis.pipeline(transaction=True) as pipe:
            pipe.hgetall(self.keys.campaign(campaign_id))
            pipe.zrange(self.keys.base(campaign_id) + "due", 0, 0, withscores=True)
            fields, due = await pipe.execute()
        if b"record" not in fields or fields[b"state"] == _DROPPED:
            return None
        text = {name.decode(): value.decode() for name, value in fields.items()}
        states = {name: int(text[name]) for name in Totals.__dataclass_fields__ if name in text}
        totals = Totals.of(states, invalid=states.pop("invalid", 0), duplicate=states.pop("duplicate", 0))
        return CampaignStatus(
            campaign=_read_record(fields[b"record"]),
            state=CampaignState(text["state"]),
            totals=totals,
            source_complete=text["source_complete"] == "1",
            paused_reason=text.get("paused_reason"),
            paused_by=PausedBy(text["paused_by"]) if "paused_by" in text else None,
            cancelled_reason=text.get("cancelled_reason"),
            started_ms=int(text["started"]) if "started" in text else None,
            finished_ms=int(text["finished"]) if "finished" in text else None,
            next_due_ms=int(due[0][1]) if due else None,
            at_ms=int(text["at"]) if "at" in text else None,
            chosen=_read_ranges(text["chosen"]) if "chosen" in text else None,
            appended=frozenset(text["appended"].split("\n")) if "appended" in text else frozenset(),
            appending=text["appending"].partition("\n")[0] if "appending" in text else None,
        )

    async def ids(self) -> list[str]:
        """All campaign ids, the latest last."""
        return [
            campaign_id.decode("utf-8", "replace")
            for campaign_id in await self.redis.zrange(self.keys.campaigns, 0, -1)
        ]

    async def find(self, wanted: str | None) -> str | None:
        """The id that `wanted` names, in full or by an unambiguous beginning; without it the latest. None if absent.

        Raises `UsageError` E109 when several begin with it.
        """
        ids = await self.ids()
        if wanted is None:
            return ids[-1] if ids else None
        if wanted in ids:
            return wanted
        matching = [campaign_id for campaign_id in ids if campaign_id.startswith(wanted)]
        if len(matching) > 1:
            raise UsageError("E109", f"{wanted!r} is the beginning of {len(matching)} ids", why=", ".join(matching[:5]))
        return matching[0] if matching else None

    async def live(self) -> list[str]:
        """Campaigns that have been sealed and are not done with."""
        return sorted(
            campaign_id.decode("utf-8", "replace") for campaign_id in await self.redis.smembers(self.keys.live)
        )

    async def is_idle(self) -> bool:
        """True when no running campaign has anything queued, due or in somebody's hands."""
        now = await redis_ms(self.redis)
        for campaign_id in await self.live():
            try:
                status = await self.status(campaign_id)
            except (QueueError, UsageError):
                # Nobody can work on what cannot be read, or was a draft that is dropped.
                continue
            if status.state is not CampaignState.RUNNING or not status.totals.open:
                continue
            if not status.is_resting or (status.next_due_ms or 0) <= now:
                return False
        return True

    async def pause(self, campaign_id: str, reason: str, by: PausedBy) -> bool:
        """Stop a running campaign. False when it was not running."""
        return await self.stop(campaign_id, reason, by, CampaignState.RUNNING) is not None

    async def stop(self, campaign_id: str, reason: str, by: PausedBy, *old: CampaignState) -> CampaignState | None:
        """Pause a campaign that is in one of these states. Returns the one it was in, None when it was in no such."""
        was = await CONTROL(self.redis, [self.keys.campaign(campaign_id)], CampaignState.PAUSED, reason, by, *old)
        return CampaignState(was.decode()) if was else None

    async def resume(self, campaign_id: str) -> bool:
        """Let a paused campaign run, or wait for its time where that is to come. False when it was not paused."""
        name = self.keys.campaign(campaign_id)
        return bool(await CONTROL(self.redis, [name], CampaignState.RUNNING, "", "", CampaignState.PAUSED))

    async def begin(self, campaign_id: str, at_ms: int) -> CampaignState | None:
        """Let a scheduled campaign run whose time has come, or pause it when it missed it by more than `max_lateness`.

        Returns its state from now on, None when it was left: its time is to come, or it is not scheduled for `at_ms`.
        """
        time = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        reason = f"missed: it was to begin at {time}"
        state = await BEGIN(self.redis, [self.keys.campaign(campaign_id)], at_ms, reason, PausedBy.SCHEDULE)
        return CampaignState(state.decode()) if state else None


def _unknown(campaign_id: str) -> UsageError:
    return UsageError("E109", f"no campaign {campaign_id!r}", hint="mailer status   lists the ids")


def _other_content(standing: Campaign, proposal: Campaign) -> UsageError:
    differs = "the template" if standing.template_sha256 != proposal.template_sha256 else "the sender or the recipients"
    return UsageError(
        "E205",
        f"the key {proposal.key!r} belongs to {standing.id}, which has other content",
        why=f"{differs} changed since it was accepted ({standing.fingerprint[:12]} then, "
        f"{proposal.fingerprint[:12]} now).",
        hint="give the new content another --key, or add its recipients to this one with --append",
        safe=f"Nothing was added and nothing was sent; {standing.id} is as it was.",
    )
