"""The end of a task."""

import asyncio


async def cancelled(task: "asyncio.Task[None]") -> None:
    """Cancel it, and wait until it has ended: it must not ask a server that is no more.

    `asyncio.wait_for` of Python 3.11, through which redis-py sends, may forget a cancellation (gh-86296).
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=1.0)
