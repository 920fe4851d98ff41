"""Mail servers beside the commands: an event loop in a thread, in which they run while the test waits."""

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeVar

T = TypeVar("T")


class Backstage:
    """`enter` starts a server; `close` ends all of them, the last one first."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="backstage")
        self._thread.start()
        self._stack = AsyncExitStack()

    def call(self, work: Coroutine[Any, Any, T], *, within: float = 20.0) -> T:
        """Have the loop do something, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(within)

    def enter(self, manager: AbstractAsyncContextManager[T]) -> T:
        return self.call(self._stack.enter_async_context(manager))

    def close(self) -> None:
        try:
            self.call(self._stack.aclose())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
