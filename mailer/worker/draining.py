"""The drain: what runs may end by itself for a while, and is cancelled then."""

import asyncio
from collections.abc import Collection
from typing import Any


async def drained(
    running: Collection[asyncio.Task[Any]], now: asyncio.Event, *, grace_s: float, last_words_s: float
) -> None:
    """Wait until these tasks have ended, as long as `grace_s` or until `now`; then cancel those that have not.

    A task that is cancelled has `last_words_s` to record and give back. Without a queue server it may need longer, and
    still run when this returns.
    """
    if not running:
        return
    hurry = asyncio.create_task(now.wait())
    ended = asyncio.create_task(_all_ended(running))
    await asyncio.wait({ended, hurry}, timeout=grace_s, return_when=asyncio.FIRST_COMPLETED)
    hurry.cancel()
    ended.cancel()
    for task in running:
        task.cancel()
    await asyncio.wait(running, timeout=last_words_s)


async def _all_ended(running: Collection[asyncio.Task[Any]]) -> None:
    await asyncio.wait(running)
