"""The way from plain functions into an event loop: a thread of its own that runs one."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import CancelledError, Future, wait
from contextlib import contextmanager
from typing import Any, Self, TypeVar

from mailer.vocabulary.errors import MailerError, UsageError

T = TypeVar("T")


class Portal:
    """An event loop in a thread, from `with` to its end. A thread, so that a worker in it goes on between two calls."""

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mailer", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.call(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it in the loop and wait. Ctrl-C cancels it, waits for its end, and goes on as Ctrl-C."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except CancelledError:
            raise
        except BaseException:
            if not future.done():
                future.cancel()
                wait([future], timeout=5)
            raise

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run it in the loop, without waiting for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    @contextmanager
    def beside(self, work: Coroutine[Any, Any, None] | None) -> Iterator[None]:
        """Do it in the loop while the caller does something else, and cancel it then.

        Where both fail with a `MailerError`, it is what failed beside that is raised: it made the other one end.
        """
        if work is None:
            yield
            return
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            yield
        except MailerError:
            if future.done():
                future.result()
            raise
        finally:
            future.cancel()
            wait([future], timeout=5)


def refuse_inside_a_loop(call: str, twin: str) -> None:
    """Raise `UsageError` E131 where an event loop is running in this thread: the call would stop it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise UsageError("E131", f"{call} waits, and an event loop is running here", hint=twin)
