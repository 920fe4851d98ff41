"""What must hold of attached files: whatever a stored message mentions is there, counted, and nothing else is."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mailer.backends.redis.attachments import WAITING, mentions
from mailer.backends.redis.chunk_checks import UNREADABLE
from mailer.backends.redis.frames import Frames, read_frames

if TYPE_CHECKING:
    from mailer.backends.redis.chunk_parts import ChunkParts
    from mailer.backends.redis.keys import Keys
    from mailer.backends.redis.server import Server

AT_ONCE = 1000


@dataclass(slots=True)
class Files:
    """The files of a campaign, recounted: in how many chunks messages mention each, and in how many those that wait."""

    codec: Frames
    mentioned: Counter[str] = field(default_factory=Counter)
    waiting: Counter[str] = field(default_factory=Counter)

    def count(self, parts: "ChunkParts") -> list[str]:
        """Count those of a chunk. Returns what is wrong with it, in words."""
        restore = self.codec.restore
        try:
            found = mentions(map(restore, parts.messages.values()), map(restore, parts.kept.values()))
        except UNREADABLE as error:
            return [f"chunk {parts.number}: a message cannot be read: {str(error) or type(error).__name__}"]
        self.mentioned.update(list(found))
        self.waiting.update(digest for digest, kind in found.items() if kind == WAITING)
        if found != parts.attached:
            return [f"chunk {parts.number}: its messages mention {len(found)} files, g has {len(parts.attached)}"]
        return []


async def files_of(redis: "Server", keys: "Keys", campaign_id: str) -> Files | None:
    """Where the files of a campaign are to be counted; None when it has none."""
    if not await redis.exists(keys.base(campaign_id) + "r"):
        return None
    return Files(await read_frames(redis, keys, campaign_id))


async def sizes_of(redis: "Server", base: str, files: Files) -> dict[str, int]:
    """Bytes of each file that is mentioned; 0 for one that is not there."""
    digests, sizes = list(files.mentioned), []
    for start in range(0, len(digests), AT_ONCE):
        async with redis.pipeline(transaction=False) as pipe:
            for digest in digests[start : start + AT_ONCE]:
                pipe.strlen(f"{base}b:{digest}")
            sizes += await pipe.execute()
    return dict(zip(digests, sizes, strict=True))


async def wrong_files(redis: "Server", base: str, files: Files | None) -> list[str]:
    """The counters of a campaign at rest, and the files themselves, against what was counted."""
    found = []
    async with redis.pipeline(transaction=True) as pipe:
        pipe.hgetall(base + "r")
        pipe.hgetall(base + "w")
        answers = await pipe.execute()
    counters = [{digest.decode(): int(count) for digest, count in answer.items()} for answer in answers]
    counted = [files.mentioned, files.waiting] if files is not None else [Counter(), Counter()]
    for name, counter, right in zip("rw", counters, counted, strict=True):
        if counter != right:
            found.append(
                f"files: {name} counts {len(counter)}, {len(right)} are mentioned, or in other numbers of chunks"
            )
    if files is not None and (
        lost := [digest for digest, size in (await sizes_of(redis, base, files)).items() if not size]
    ):
        found.append(f"files: {len(lost)} that messages mention are not there (the first is {lost[0][:12]})")
    return found
