"""Watching files: whoever waits for a change to them hears of it within a moment."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path

EVERY_S = 0.3
MOST_FILES = 5000
"""Files that are watched below one folder."""

Stamp = tuple[str, int, int]
"""Path, time of the last change in nanoseconds, size."""


async def watch(
    paths: Callable[[], Iterable[Path]], changed: Callable[[], Awaitable[None]], *, every: float = EVERY_S
) -> None:
    """Await `changed` after each change to one of the files or below one of the folders. Never ends.

    `paths` is asked, in a thread, before every look; looks are `every` seconds apart. What is not there may appear.
    """

    def look() -> frozenset[Stamp]:
        return stamps(paths())

    seen = await asyncio.to_thread(look)
    while True:
        await asyncio.sleep(every)
        found = await asyncio.to_thread(look)
        if found != seen:
            seen = found
            await changed()


def stamps(paths: Iterable[Path]) -> frozenset[Stamp]:
    """What tells these files from changed ones."""
    return frozenset(stamp for path in paths for stamp in _stamps(path))


def _stamps(path: Path) -> Iterator[Stamp]:
    files = _files_below(path) if path.is_dir() else iter((path,))
    for _, file in zip(range(MOST_FILES), files, strict=False):
        try:
            found = file.stat()
        except OSError:
            continue  # gone between two looks, which is a change as well
        yield str(file), found.st_mtime_ns, found.st_size


def _files_below(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(place) / name for name in sorted(names))
