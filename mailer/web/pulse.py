"""The pulse of a page: tells everybody who looks that something has changed, never more than once a second."""

import asyncio
from collections.abc import AsyncIterator

EVERY_S = 1.0


class Pulse:
    """Counts changes. Everything is called in one event loop.

    `every` is the shortest time in seconds between two tellings to one listener; what happens meanwhile is told as one.
    """

    def __init__(self, *, every: float = EVERY_S) -> None:
        self.every = every
        self.number = 0
        self._moved = asyncio.Event()
        self._over = asyncio.Event()

    def beat(self) -> None:
        """Something has changed."""
        self.number += 1
        self._wake()

    def close(self) -> None:
        """Nothing will change any more: every listener comes to its end."""
        self._over.set()
        self._wake()

    async def changes(self) -> AsyncIterator[int]:
        """The number of changes so far, at once, and again whenever there were more."""
        told: int | None = None
        while not self._over.is_set():
            if told == self.number:
                await self._moved.wait()
                continue
            told = self.number
            yield told
            await self._rest()

    async def _rest(self) -> None:
        try:
            await asyncio.wait_for(self._over.wait(), self.every)
        except TimeoutError:
            return

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()
