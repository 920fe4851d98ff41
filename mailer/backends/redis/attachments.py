"""Attached files in Redis: each content once a campaign, for as long as a stored message has its mark.

`b:<digest>` is the content. `g:n` says of a chunk which files its messages mention, and whether one of those that wait
does ("m") or only ones that are kept for the operator ("k"); `r` and `w` count the chunks, of either kind and of the
first. `u` are the files that came and that no message mentions yet.
"""

import asyncio
import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from mailer.backends.redis.frames import Frames, read_frames
from mailer.backends.redis.scripts import UPLOAD
from mailer.policy.attachment_marks import digests_in
from mailer.vocabulary.errors import TemplateError

if TYPE_CHECKING:
    from mailer.backends.redis.chunk_parts import ChunkParts
    from mailer.backends.redis.keys import Keys
    from mailer.backends.redis.server import Server
    from mailer.vocabulary.chunk import Attached

WAITING, KEPT, GONE = "m", "k", ""
"""What a chunk has of a file: a message that waits, only kept ones, none."""


async def upload(redis: "Server", keys: "Keys", campaign_id: str, file: "Attached") -> None:
    """Store the content of a file; nothing happens when it is there. Raises `TemplateError` E310."""
    content = await asyncio.to_thread(_read, file)
    await UPLOAD(redis, [keys.campaign(campaign_id)], keys.base(campaign_id), file.digest, content)


def _read(file: "Attached") -> bytes:
    cause = None
    try:
        content = file.read()
    except OSError as error:
        cause = str(error)
    else:
        if hashlib.sha256(content).hexdigest() == file.digest:
            return content
    raise TemplateError(
        "E310",
        f"{file.name} changed while it was read",
        why="Its content is not what the messages were made with.",
        hint="run it again when nobody writes to the file",
        cause=cause,
    )


async def content_of(redis: "Server", base: str, digest: str) -> bytes:
    """The content of a file. Raises LookupError when it is not there, or is not what its name says."""
    content = await redis.get(f"{base}b:{digest}")
    if content is None:
        raise LookupError(f"no attached file {digest}")
    if (await asyncio.to_thread(hashlib.sha256, content)).hexdigest() != digest:
        raise LookupError(f"the attached file {digest} is damaged")
    return content


async def changed_in(
    redis: "Server",
    keys: "Keys",
    campaign_id: str,
    parts: "ChunkParts",
    waiting: Collection[bytes],
    kept: Collection[bytes],
) -> list[str]:
    """What changes about the files of a chunk that has these frames from now on, in the words of `mention` in the
    scripts' prelude: file and kind, one after the other.
    """
    if not parts.attached:
        return []
    after: Mapping[str, str] = {}
    if waiting or kept:
        codec = await read_frames(redis, keys, campaign_id)
        after = mentions(_readable(codec, waiting), _readable(codec, kept))
    kinds = [(digest, after.get(digest, GONE)) for digest in parts.attached]
    return [word for digest, kind in kinds if kind != parts.attached[digest] for word in (digest, kind)]


def mentions(waiting: Iterable[bytes], kept: Iterable[bytes]) -> dict[str, str]:
    """The files that these messages of a chunk mention, and as what."""
    found = {digest: KEPT for message in kept for digest in digests_in(message)}
    return found | {digest: WAITING for message in waiting for digest in digests_in(message)}


def _readable(codec: Frames, frames: Iterable[bytes]) -> Iterator[bytes]:
    """The messages of these frames. One that is damaged is sent to nobody, and needs no file."""
    for frame in frames:
        with suppress(ValueError):
            yield codec.restore(frame)
