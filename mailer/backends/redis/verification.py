"""The recount of a whole campaign: every recipient read and counted again, and held against the counters."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from redis.exceptions import ResponseError

from mailer.backends.redis.chunk_checks import UNREADABLE, count_chunk
from mailer.backends.redis.chunk_parts import read_parts
from mailer.backends.redis.damage import is_damage
from mailer.backends.redis.file_checks import Files, files_of, sizes_of, wrong_files
from mailer.backends.redis.index import shards_in_use
from mailer.backends.redis.index_recount import IndexRecount
from mailer.vocabulary.recipient import FINAL_STATES, State

if TYPE_CHECKING:
    from mailer.backends.redis.keys import Keys
    from mailer.backends.redis.server import Server

ROUNDS = 4
AT_ONCE = 32
SHARDS_AT_ONCE = 1000
_SOURCE_READ = ("scheduled", "running", "paused", "finished", "cancelled")


@dataclass(slots=True)
class _Recount:
    """What the chunks of a campaign come to."""

    states: Counter[str] = field(default_factory=Counter)
    message_bytes: int = 0
    violations: list[str] = field(default_factory=list)
    files: Files | None = None


async def verify(redis: "Server", keys: "Keys", campaign_id: str) -> list[str]:
    """Recount a campaign. Returns what differs, in words; empty when every counter and both identities hold.

    While workers change it, a state's counter may be off by what moved between two looks: the count is repeated, and in
    the end only what no movement explains is told. The campaign must exist.
    """
    try:
        return await _verify(redis, keys, campaign_id)
    except (*UNREADABLE, ResponseError) as error:
        if not is_damage(error):
            raise
        return [f"the campaign cannot be read: {str(error)[:200] or type(error).__name__}"]


async def _verify(redis: "Server", keys: "Keys", campaign_id: str) -> list[str]:
    found: list[str] = []
    for round_ in range(ROUNDS):
        if round_:
            await asyncio.sleep(0.05)
        before = await _counters(redis, keys, campaign_id)
        recount = await _recount(redis, keys, campaign_id, before)
        after = await _counters(redis, keys, campaign_id)
        found = [*recount.violations, *_differences(recount, before, after)]
        found += await _standing(redis, keys, campaign_id, before, recount) if before == after else []
        if not found:
            return []
    return found


async def _counters(redis: "Server", keys: "Keys", campaign_id: str) -> dict[str, str]:
    async with redis.pipeline(transaction=True) as pipe:
        pipe.hgetall(keys.campaign(campaign_id))
        (fields,) = await pipe.execute()
    return {name.decode(): value.decode() for name, value in fields.items() if name != b"record"}


async def _recount(redis: "Server", keys: "Keys", campaign_id: str, counters: Mapping[str, str]) -> _Recount:
    base = keys.base(campaign_id)
    recount = _Recount(files=await files_of(redis, keys, campaign_id))
    chunks = _number(counters, "chunks")
    index = IndexRecount(redis, base)
    if "by_row" not in counters:
        await index.read(chunks, _number(counters, "indexed"))
    for start in range(0, chunks, AT_ONCE):
        numbers = range(start, min(chunks, start + AT_ONCE))
        for _ in range(ROUNDS):
            # The sets are read before and after the chunks: what changed in between is looked at again.
            sets = await _places(redis, base, numbers)
            parts = await read_parts(redis, base, numbers)
            if sets == await _places(redis, base, numbers):
                break
        opened, due, holders = sets
        for part in parts:
            counted = count_chunk(
                part, is_open=part.number in opened, is_due=part.number in due, holders=frozenset(holders)
            )
            recount.states += counted.states
            recount.message_bytes += counted.message_bytes
            recount.violations += counted.violations
            if lost := await index.unindexed(part.number, counted.people):
                words = f"chunk {part.number}: {lost} recipients are not in the index of addresses"
                recount.violations.append(words)
            recount.violations += recount.files.count(part) if recount.files is not None else []
    if recount.files is not None:
        sizes = await sizes_of(redis, base, recount.files)
        recount.message_bytes += sum(sizes[digest] for digest in recount.files.waiting)
    return recount


async def _places(redis: "Server", base: str, numbers: range) -> tuple[set[int], set[int], set[str]]:
    """Which of these chunks stand in `open` and in `due`, and all holders."""
    async with redis.pipeline(transaction=True) as pipe:
        for number in numbers:
            pipe.zscore(base + "open", number)
            pipe.zscore(base + "due", number)
        pipe.hgetall(base + "h")
        *scores, holders = await pipe.execute()
    opened = {number for number, score in zip(numbers, scores[::2], strict=True) if score is not None}
    due = {number for number, score in zip(numbers, scores[1::2], strict=True) if score is not None}
    return opened, due, {holder.decode() for holder in holders}


async def _sets(redis: "Server", base: str) -> tuple[set[int], set[int], set[str]]:
    async with redis.pipeline(transaction=True) as pipe:
        pipe.zrange(base + "open", 0, -1)
        pipe.zrange(base + "due", 0, -1)
        pipe.hgetall(base + "h")
        opened, due, holders = await pipe.execute()
    return {int(n) for n in opened}, {int(n) for n in due}, {holder.decode() for holder in holders}


def _differences(recount: _Recount, before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Counters that are not what was counted, nor explained by what moved meanwhile."""
    found = []
    quiet = before == after
    for state in State:
        counted = recount.states[state.value]
        low, high = sorted((_number(before, state.value), _number(after, state.value)))
        # Final counts only grow while workers work; open ones go up and down between two looks.
        if not low <= counted <= high and (quiet or state in FINAL_STATES):
            found.append(f"{state.value}: the counter says {high}, the chunks hold {counted}")
    accepted = (sum(_number(side, state.value) for state in State) for side in (before, after))
    low, high = sorted(accepted)
    if not low <= recount.states.total() <= high:
        found.append(f"accepted: the counters add up to {high}, the chunks hold {recount.states.total()}")
    if quiet and recount.message_bytes != _number(before, "bytes"):
        found.append(f"bytes: the counter says {_number(before, 'bytes')}, the messages have {recount.message_bytes}")
    return found


async def _standing(
    redis: "Server", keys: "Keys", campaign_id: str, counters: Mapping[str, str], recount: _Recount
) -> list[str]:
    """The index, the sets and the state of the campaign against the counters."""
    base, state = keys.base(campaign_id), counters.get("state", "")
    found = []
    indexed, size = _number(counters, "indexed"), await _index_size(redis, base, _number(counters, "indexed"))
    if not indexed == size == recount.states.total():
        found.append(f"index: {indexed} counted, {size} addresses in it, {recount.states.total()} recipients")
    opened, due, holders = await _sets(redis, base)
    chunks = _number(counters, "chunks")
    for name, numbers in (("open", opened), ("due", due), ("h", {int(holder.partition(":")[0]) for holder in holders})):
        if strange := {number for number in numbers if number >= chunks}:
            found.append(f"{name}: {len(strange)} chunks that do not exist")
    is_whole = counters.get("source_complete") == "1" and "appending" not in counters
    waiting = sum(recount.states[name] for name in ("queued", "claimed", "sending", "deferred"))
    if state == "finished" and not is_whole:
        found.append("state: finished, but more recipients are to come")
    if state == "finished" and waiting:
        found.append(f"state: finished, but {waiting} recipients are not final")
    if state == "running" and is_whole and not waiting:
        found.append("state: running, but nobody is left to send to")
    needs_care = state == "scheduled" or (state in _SOURCE_READ and opened)
    if needs_care and campaign_id.encode() not in await redis.smembers(keys.live):
        found.append("live: it has open chunks or a time to begin, and no reconciler looks after it")
    return [*found, *await wrong_files(redis, base, recount.files)]


async def _index_size(redis: "Server", base: str, indexed: int) -> int:
    names = list(shards_in_use(base, indexed))
    size = 0
    for start in range(0, len(names), SHARDS_AT_ONCE):
        async with redis.pipeline(transaction=False) as pipe:
            for name in names[start : start + SHARDS_AT_ONCE]:
                pipe.hlen(name)
            size += sum(await pipe.execute())
    return size


def _number(counters: Mapping[str, str], name: str) -> int:
    return int(counters.get(name, "0"))
