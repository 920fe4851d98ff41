"""Clerks: threads in which campaigns are accepted, each with the queue open; they stay for the next campaign."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mailer.api.portal import Portal

if TYPE_CHECKING:
    from concurrent.futures import Future

Q = TypeVar("Q")
T = TypeVar("T")

Work = Callable[[Callable[[], Awaitable[Q]]], Coroutine[Any, Any, T]]
"""What is to be done, given how the queue is opened; it may find out that it needs none."""

MOST_IDLE = 4
"""Clerks that wait for work; whoever becomes free beyond them leaves."""


class Clerks(Generic[Q]):
    """Accepts several campaigns at once, each in a thread of its own: asyncio's few would block each other.

    Opening the queue takes as long as storing one message does, so a clerk keeps it open. `open_queue` opens it, in the
    thread that works with it, and is entered again by another clerk.
    """

    def __init__(self, open_queue: Callable[[], AbstractAsyncContextManager[Q]], *, stay: bool = False) -> None:
        self._open_queue = open_queue
        self._stay = stay
        self._idle: list[_Clerk[Q]] = []

    async def do(self, work: Work[Q, T], stop: Callable[[], None]) -> T:
        """Have it done. Cancelled, it is stopped and waited for. Raises what opening and the work raise."""
        try:
            clerk = self._idle.pop()
        except IndexError:
            clerk = _Clerk(self._open_queue)
        is_well = False
        try:
            done = await _waited_for(clerk.begin(work), stop)
            is_well = True
        finally:
            # After an error nobody knows what is left on its connections.
            if is_well and self._stay and len(self._idle) < MOST_IDLE:
                self._idle.append(clerk)
            else:
                await asyncio.shield(asyncio.to_thread(clerk.leave))
        return done

    async def leave(self) -> None:
        """End those that wait for work, and whoever becomes free later."""
        self._stay = False
        while self._idle:
            await asyncio.to_thread(self._idle.pop().leave)


class _Clerk(Generic[Q]):
    """One thread with its event loop, and the queue that was opened in it."""

    def __init__(self, open_queue: Callable[[], AbstractAsyncContextManager[Q]]) -> None:
        self._portal = Portal().__enter__()
        self._open_queue = open_queue
        self._stack = AsyncExitStack()
        self._queue: Q | None = None

    def begin(self, work: Work[Q, T]) -> "Future[T]":
        return self._portal.begin(work(self._open))

    async def _open(self) -> Q:
        if self._queue is None:
            self._queue = await self._stack.enter_async_context(self._open_queue())
        return self._queue

    def leave(self) -> None:
        try:
            self._portal.call(self._stack.aclose())
        finally:
            self._portal.__exit__()


async def _waited_for(future: "Future[T]", stop: Callable[[], None]) -> T:
    done = asyncio.wrap_future(future)
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        if done.cancelled():
            raise
        stop()
        await asyncio.wait([done])
        done.exception()
        raise
