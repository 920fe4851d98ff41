"""The operator's side of the ledger: pause, resume, cancel, retry, resolve."""

from collections.abc import Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING

from mailer.backends.redis.attachments import changed_in
from mailer.backends.redis.campaigns import Campaigns
from mailer.backends.redis.chunk_parts import read_parts
from mailer.backends.redis.closing import retire, sweep_chunks
from mailer.backends.redis.events import STATES
from mailer.backends.redis.reopening import Act, act_of, plan
from mailer.backends.redis.reviving import hand_in_all
from mailer.backends.redis.scripts import CANCEL, CONFIRM, REOPEN
from mailer.backends.redis.searching import chunks_of
from mailer.backends.redis.server import redis_ms
from mailer.policy.addressing import key_of
from mailer.vocabulary.acts import Resolution, Retried
from mailer.vocabulary.campaign import CampaignState, PausedBy
from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.recipient import State

if TYPE_CHECKING:
    from mailer.backends.redis.chunk_parts import ChunkParts
    from mailer.backends.redis.entries import Entry
    from mailer.backends.redis.events import Event
    from mailer.backends.redis.jobs import Jobs
    from mailer.backends.redis.reopening import Plan
    from mailer.vocabulary.acts import Selection

AT_ONCE = 32
"""Chunks that are read in one step when somebody is looked for."""
CHANGED, NOT_ALLOWED = -2, -3
"""Answers of `reopen.lua`."""

_PAUSABLE = (CampaignState.RUNNING, CampaignState.SCHEDULED, CampaignState.PAUSED)
_LETTERS = {Resolution.SENT: "S", Resolution.REFUSED: "R", Resolution.FAILED: "F", Resolution.RESEND: "q"}


class RedisControl:
    """Implements `interfaces.ledger.ControlLedger`."""

    def __init__(self, campaigns: Campaigns, jobs: "Jobs") -> None:
        self._campaigns = campaigns
        self._redis = campaigns.redis
        self._keys = campaigns.keys
        self._jobs = jobs

    async def pause(self, campaign_id: str, reason: str) -> bool:
        """Stop a campaign that runs, waits for its time, or is paused for another reason. Raises E109, E114."""
        was = await self._campaigns.stop(campaign_id, reason, PausedBy.OPERATOR, *_PAUSABLE)
        if was is None:
            raise await self._wrong_state(campaign_id, "cannot be paused")
        return was is not CampaignState.PAUSED

    async def resume(self, campaign_id: str, *, confirm_restore: bool = False) -> bool:
        """Let a paused campaign run, with jobs for all that is open; or wait for its time, where that is to come.

        `confirm_restore` says that this ledger is the one to go on with, where it may be a copy or have forgotten; that
        stays on record. Raises `UsageError` E109, E114.
        """
        name = self._keys.campaign(campaign_id)
        if confirm_restore:
            await CONFIRM(self._redis, [name])
        resumed = await self._campaigns.resume(campaign_id)
        state = (await self._campaigns.status(campaign_id)).state
        if state is CampaignState.PAUSED and (reason := await self._redis.hget(name, "distrusted")) is not None:
            raise _unconfirmed(campaign_id, reason.decode("utf-8", "replace"))
        if state is CampaignState.RUNNING:
            # Also when it ran already: whoever resumed it may have died before the jobs were handed in.
            await hand_in_all(self._redis, self._keys, self._jobs, campaign_id)
        elif not resumed and state is not CampaignState.SCHEDULED:
            raise await self._wrong_state(campaign_id, "not paused")
        return resumed

    async def confirmed(self, campaign_id: str) -> list[tuple[int, str]]:
        """When (Unix ms) an operator went on with a restored ledger, and what had been found; the latest last."""
        lines = (await self._redis.hget(self._keys.campaign(campaign_id), "confirmed") or b"").decode(
            "utf-8", "replace"
        )
        return [(int(at), reason) for at, _, reason in (line.partition(" ") for line in lines.splitlines())]

    async def cancel(self, campaign_id: str, reason: str) -> int:
        """Cancel what waits; what is in flight finishes. Returns the recipients cancelled by this call.

        Raises `UsageError` E109, E114.
        """
        await self._campaigns.status(campaign_id)
        if not await CANCEL(self._redis, [self._keys.campaign(campaign_id)], reason):
            raise await self._wrong_state(campaign_id, "cannot be cancelled")
        chunks = await self._redis.zrange(self._keys.base(campaign_id) + "open", 0, -1)
        moved = await sweep_chunks(self._redis, self._keys, campaign_id, [int(chunk) for chunk in chunks])
        await retire(self._redis, self._keys, campaign_id)
        return moved

    async def count(self, campaign_id: str, selection: "Selection") -> Retried:
        """How many a retry would take, changing nothing. Raises `UsageError` E109, E114."""
        await self._refuse_retry(campaign_id)
        act, total = _retry_of(selection, 0), Retried(recipients=0, without_message=0)
        for start in range(0, chunks := await self._chunks(campaign_id), AT_ONCE):
            numbers = range(start, min(chunks, start + AT_ONCE))
            for parts in await read_parts(self._redis, self._keys.base(campaign_id), numbers):
                listed = await self._listed(parts, act)
                total += _told(plan(parts, act, _left(selection, total.recipients), listed))
        return total

    async def retry(self, campaign_id: str, selection: "Selection") -> Retried:
        """Queue the selected recipients again, with the same Message-ID. Raises `UsageError` E109, E114."""
        await self._refuse_retry(campaign_id)
        act = _retry_of(selection, await redis_ms(self._redis))
        total = Retried(recipients=0, without_message=0)
        for chunk in range(await self._chunks(campaign_id)):
            if (left := _left(selection, total.recipients)) == 0:
                break
            total += await self._reopen(campaign_id, chunk, act, left)
        return total

    async def resolve(self, campaign_id: str, addresses: Sequence[str], resolution: Resolution) -> int:
        """Settle recipients in doubt. Returns how many moved; who is settled that way already is left as he is.

        Raises `UsageError` E109, E114 (also for a recipient that is not in doubt), E119 (nobody of that address).
        """
        await self._campaigns.status(campaign_id)
        wanted = {key_of(address) for address in addresses}
        found = await chunks_of(self._redis, self._keys, campaign_id, sorted(wanted))
        unknown = wanted - found.keys()
        if unknown:
            raise UsageError(
                "E119", f"{campaign_id} has no recipient {', '.join(sorted(unknown)[:5])}", safe="Nothing was changed."
            )
        if resolution is Resolution.RESEND:
            await self._refuse_suppressed(sorted(wanted))
        letter = _LETTERS[resolution]
        chunks = sorted(set().union(*found.values()))
        if stuck := await self._unresolvable(campaign_id, chunks, wanted, resolution):
            raise UsageError(
                "E114",
                f"{stuck[0].email} is {STATES[stuck[0].letter]}, not in doubt",
                hint=f"mailer retry {campaign_id}   tries refused and failed recipients again",
                safe="Nothing was changed.",
            )
        text = "operator: resend" if resolution is Resolution.RESEND else f"operator: resolved as {resolution}"
        now = await redis_ms(self._redis)

        def act(entry: "Entry") -> "Event | None":
            if entry.letter != "I" or key_of(entry.email) not in wanted:
                return None
            return act_of(entry, letter, text, now)

        return sum([(await self._reopen(campaign_id, chunk, act)).recipients for chunk in chunks])

    async def _unresolvable(
        self, campaign_id: str, chunks: Sequence[int], wanted: Collection[str], resolution: Resolution
    ) -> "list[Entry]":
        """One recipient for each address key of which none is in doubt, nor as the resolution would have it."""
        stuck: dict[str, Entry] = {}
        settled: set[str] = set()
        for start in range(0, len(chunks), AT_ONCE):
            some = chunks[start : start + AT_ONCE]
            for parts in await read_parts(self._redis, self._keys.base(campaign_id), some):
                for entry in [*parts.packed, *parts.unpacked]:
                    if (key := key_of(entry.email)) in wanted:
                        if _may_resolve(entry, resolution):
                            settled.add(key)
                        else:
                            stuck.setdefault(key, entry)
        return [entry for key, entry in stuck.items() if key not in settled]

    async def _reopen(self, campaign_id: str, chunk: int, act: Act, limit: int | None = None) -> Retried:
        base = self._keys.base(campaign_id)
        run = partial(
            REOPEN, self._redis, [self._keys.campaign(campaign_id), self._keys.live], base, campaign_id, chunk
        )
        while True:
            (parts,) = await read_parts(self._redis, base, [chunk])
            made = plan(parts, act, limit, await self._listed(parts, act))
            if not made.moved:
                return _told(made)
            made.files = await changed_in(self._redis, self._keys, campaign_id, parts, made.waiting, made.held)
            generation = int(await run(parts.final_digest, *made.arguments))
            if generation == CHANGED:
                continue
            if generation == NOT_ALLOWED:
                raise await self._wrong_state(campaign_id, "nobody can be queued again")
            if generation >= 0:
                await self._jobs.enqueue([(campaign_id, chunk, generation)])
            return _told(made)

    async def _listed(self, parts: "ChunkParts", act: Act) -> frozenset[str]:
        """Those of a chunk who would be queued and are on the do-not-send list."""
        events = [(entry.email, act(entry)) for entry in (*parts.packed, *parts.unpacked)]
        emails = [email for email, event in events if event is not None and event.letter == "q"]
        if not emails:
            return frozenset()
        found = await self._redis.hmget(self._keys.suppressed, [key_of(email) for email in emails])
        return frozenset(email for email, note in zip(emails, found, strict=True) if note is not None)

    async def _refuse_suppressed(self, keys: Sequence[str]) -> None:
        for key, note in zip(keys, await self._redis.hmget(self._keys.suppressed, keys), strict=True):
            if note is not None:
                raise UsageError(
                    "E114",
                    f"{key} is on the do-not-send list",
                    hint=f"mailer suppress why {key}   and then remove, if it should get the message",
                    safe="Nothing was changed.",
                )

    async def _chunks(self, campaign_id: str) -> int:
        return int(await self._redis.hget(self._keys.campaign(campaign_id), "chunks") or 0)

    async def _refuse_retry(self, campaign_id: str) -> None:
        state = (await self._campaigns.status(campaign_id)).state
        if state not in (CampaignState.RUNNING, CampaignState.PAUSED, CampaignState.FINISHED):
            raise await self._wrong_state(campaign_id, "nobody can be queued again")

    async def _wrong_state(self, campaign_id: str, what: str) -> UsageError:
        state = (await self._campaigns.status(campaign_id)).state
        return UsageError("E114", f"{campaign_id} is {state}: {what}", safe="Nothing was changed.")


def _unconfirmed(campaign_id: str, reason: str) -> UsageError:
    """E114: nobody has said yet that it is this ledger that goes on."""
    return UsageError(
        "E114",
        f"{campaign_id} is paused until you confirm: {reason}",
        why="Where another fleet goes on with the first one, or has done so since, people would get the message twice.",
        hint=f"mailer resume {campaign_id} --confirm-restore   when no other fleet works on it",
        safe="Nothing was changed.",
    )


def _retry_of(selection: "Selection", now_ms: int) -> Act:
    def act(entry: "Entry") -> "Event | None":
        code = entry.decisive.code if entry.decisive is not None else None
        if not selection.wants(STATES[entry.letter], code, entry.email):
            return None
        return act_of(entry, "q", "operator: retry", now_ms)

    return act


def _told(made: "Plan") -> Retried:
    return Retried(recipients=made.moved, without_message=made.without_message, suppressed=made.suppressed)


def _left(selection: "Selection", taken: int) -> int | None:
    return None if selection.limit is None else max(0, selection.limit - taken)


def _may_resolve(entry: "Entry", resolution: Resolution) -> bool:
    """True for a recipient in doubt, or one that stands where it would be brought."""
    state = STATES[entry.letter]
    if resolution is Resolution.RESEND:
        return state is State.IN_DOUBT or not state.is_final
    return state is State.IN_DOUBT or entry.letter == _LETTERS[resolution]
