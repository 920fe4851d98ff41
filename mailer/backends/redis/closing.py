"""How a chunk ends: what is final in it is packed; what a cancelled campaign still has waiting is cancelled before."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mailer.backends.redis.attachments import changed_in
from mailer.backends.redis.chunk_parts import read_parts
from mailer.backends.redis.entries import write_messages, write_roster
from mailer.backends.redis.events import frame, read_events
from mailer.backends.redis.late import add_late
from mailer.backends.redis.packing import pack
from mailer.backends.redis.scripts import PACK, RETIRE, SWEEP

if TYPE_CHECKING:
    from mailer.backends.redis.keys import Keys
    from mailer.backends.redis.server import Server

KEPT_FRAMES = frozenset("RFI")
"""States whose message is kept: an operator may send it again."""


async def pack_chunk(redis: "Server", keys: "Keys", campaign_id: str, chunk: int) -> None:
    """Replace what is final in a chunk by its packed form; what is open stays as it is. May be called at any time.

    What came late for recipients packed before goes into their histories.
    """
    base = keys.base(campaign_id)
    packed = False
    while not packed:
        (parts,) = await read_parts(redis, base, [chunk])
        roster, before = parts.roster, parts.packed
        came_late = add_late(before, parts.outcomes)
        done = [entry for entry in parts.unpacked if entry.is_final]
        if not done and not came_late:
            return
        everyone = sorted([*before, *done], key=lambda entry: entry.index)
        gone = frozenset(entry.index for entry in done)
        frames = parts.messages
        keep = parts.kept | {
            entry.index: frames[entry.index] for entry in done if entry.letter in KEPT_FRAMES and entry.index in frames
        }
        closed = frozenset(entry.index for entry in everyone)
        left = b""
        if len(done) < len(parts.values):
            left = b"".join(frame(event) for event in read_events(parts.outcomes) if event.index not in closed)
        waiting = {index: frame_ for index, frame_ in frames.items() if index not in gone}
        files = await changed_in(redis, keys, campaign_id, parts, waiting.values(), keep.values())
        packed = bool(
            await PACK(
                redis,
                [keys.campaign(campaign_id)],
                base,
                chunk,
                f"{parts.outcomes_digest}:{parts.final_digest}",
                pack(everyone, parts.doubts),
                write_messages(keep) if keep else b"",
                write_messages(waiting),
                write_roster(roster.without(gone)) if roster is not None else b"",
                left,
                len(files),
                *files,
                *sorted(gone),
            )
        )


async def sweep_chunks(redis: "Server", keys: "Keys", campaign_id: str, chunks: Sequence[int]) -> int:
    """Cancel what waits in these chunks of a cancelled campaign, and pack them. Returns the recipients cancelled.

    A chunk that a worker holds keeps what is in flight; it is packed when that run ends, or when this is called again.
    """
    moved = 0
    for chunk in chunks:
        moved += int(await SWEEP(redis, [keys.campaign(campaign_id)], keys.base(campaign_id), chunk))
        await pack_chunk(redis, keys, campaign_id, chunk)
    return moved


async def retire(redis: "Server", keys: "Keys", campaign_id: str) -> bool:
    """Let a campaign that is over and packed leave the live ones. False when it is not."""
    names = [keys.campaign(campaign_id), keys.live]
    return bool(await RETIRE(redis, names, keys.base(campaign_id), campaign_id))
