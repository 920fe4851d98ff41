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
    paths: Callable[[], Iterable[Path]],
    changed: Callable[[Exception | None], Awaitable[None]],
    *,
    every: float = EVERY_S,
) -> None:
    """Await `changed` after each change to one of the files or below one of the folders. Never ends.

    `paths` is asked, in a thread, before every look; looks are `every` seconds apart. What is not there may appear.
    When a look fails, `changed` is told why, once; and when looks no longer do, it is told of a change.
    """

    def look() -> frozenset[Stamp] | Exception:
        try:
            return stamps(paths())
        except Exception as error:
            return error

    seen = await asyncio.to_thread(look)
    while True:
        await asyncio.sleep(every)
        found = await asyncio.to_thread(look)
        if _telling(found) != _telling(seen):
            seen = found
            await changed(found if isinstance(found, Exception) else None)


def _telling(look: frozenset[Stamp] | Exception) -> frozenset[Stamp] | str:
    return repr(look) if isinstance(look, Exception) else look


def stamps(paths: Iterable[Path]) -> frozenset[Stamp]:
    """What tells these files from changed ones."""
    return frozenset(stamp for path in paths for stamp in _stamps(path))


def _stamps(path: Path) -> Iterator[Stamp]:
    files = _files_below(path) if os.path.isdir(path) else iter((path,))
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
