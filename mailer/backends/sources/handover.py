"""Handing rows from the event loop that owns an iterable to a reader in another thread, a few batches at a time."""

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing, suppress
from itertools import islice

from mailer.backends.sources.plain_values import plain_values
from mailer.vocabulary.errors import SourceError

BATCH = 100
AHEAD = 2
"""Batches that are taken before the reader asks: the bound on memory."""

Rows = Iterable[Mapping[str, object]] | AsyncIterable[Mapping[str, object]]


class HandoverError(SourceError):
    """What the iterable itself raised; `raised` is that exception, for whoever gave the iterable."""

    def __init__(self, raised: BaseException) -> None:
        super().__init__("E201", f"the recipients ended with {type(raised).__name__}: {raised}")
        self.raised = raised


class Handover:
    """One pass over an iterable or async iterable. `feed` runs where the iterable is at home, `take` in another thread.

    At home, because a database cursor belongs to its thread and an async generator to its loop and task.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(AHEAD)
        self._given: queue.SimpleQueue[list[object] | HandoverError | None] = queue.SimpleQueue()

    async def feed(self) -> None:
        """Take rows whenever there is room; what the iterable raises goes to the reader, whatever it is.

        A cancellation or an exit (no `Exception`) is raised here, too.
        """
        try:
            async for batch in _batches(self._rows):
                await self._room.acquire()
                self._given.put(batch)
        except BaseException as error:
            # A reader that is told nothing waits for ever.
            self._given.put(HandoverError(error))
            if not isinstance(error, Exception):
                raise
        else:
            self._given.put(None)

    def stop(self) -> None:
        """Whoever waits in `take` gets a `HandoverError`."""
        self._given.put(HandoverError(RuntimeError("stopped")))

    def take(self) -> Iterator[object]:
        """The items, in their order. Raises `HandoverError`."""
        while (given := self._given.get()) is not None:
            if isinstance(given, HandoverError):
                raise given
            yield from given
            self.call_home(self._room.release)

    def call_home(self, act: Callable[[], object]) -> None:
        """Have the loop do something, if it still runs: an exit that the iterable raised has ended it."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(act)


def from_loop(rows: AsyncIterable[Mapping[str, object]]) -> Iterator[object]:
    """The items of an async iterable that belongs to no event loop yet, in one of its own in another thread.

    Raises `HandoverError`. Whoever leaves it before the end ends the iterable, too.
    """
    begun: queue.SimpleQueue[tuple[Handover, Callable[[], object]]] = queue.SimpleQueue()

    async def feed() -> None:
        handover, over = Handover(rows), asyncio.Event()
        feeding = asyncio.create_task(handover.feed())
        begun.put((handover, lambda: handover.call_home(over.set)))
        await over.wait()
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)

    def run() -> None:
        # An exit that the iterable raised is the reader's, who has it by now.
        with suppress(SystemExit, KeyboardInterrupt):
            asyncio.run(feed())

    thread = threading.Thread(target=run, name="mailer-recipients", daemon=True)
    thread.start()
    handover, end = begun.get()
    try:
        yield from handover.take()
    finally:
        end()
        thread.join()


async def _batches(rows: Rows) -> AsyncIterator[list[object]]:
    if isinstance(rows, AsyncIterable):
        batch: list[object] = []
        async with aclosing(_each(rows)) as each:
            async for row in each:
                batch.append(copied(row))
                if len(batch) == BATCH:
                    yield batch
                    batch = []
        if batch:
            yield batch
        return
    iterator = iter(rows)
    while taken := [copied(row) for row in islice(iterator, BATCH)]:
        yield taken


async def _each(rows: AsyncIterable[object]) -> AsyncGenerator[object, None]:
    """The rows, and an end for a generator that is left before its own."""
    iterator = aiter(rows)
    try:
        async for row in iterator:
            yield row
    finally:
        if (close := getattr(iterator, "aclose", None)) is not None:
            await close()


def copied(row: object) -> object:
    """The row as it is now, as `plain_values` has it: its owner may fill the same mapping again for the next one."""
    if isinstance(row, Mapping):
        return plain_values(row)
    if hasattr(row, "keys") and hasattr(row, "__getitem__"):
        # sqlite3.Row is a mapping in all but name.
        return plain_values({name: row[name] for name in row.keys()})  # noqa: SIM118 - iterated, it gives values
    return row
