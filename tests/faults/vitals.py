"""Vitals of one process over a long time: its memory, and how many descriptors it holds."""

import asyncio
import os
import time
from pathlib import Path
from statistics import fmean

_PAGE = os.sysconf("SC_PAGE_SIZE")
IDLE_S = 15.0
"""How long a process may take to close what it no longer needs."""


class Vitals:
    """Of a process, or of this one. `begin` and `end` it when it has nothing to do; `look` meanwhile."""

    def __init__(self, pid: int | None = None) -> None:
        self._folder = Path(f"/proc/{pid or os.getpid()}")
        self._memory: list[int] = []
        self._before = self._after = 0

    def begin(self) -> None:
        """Note where it stands now."""
        self._before = self._descriptors()

    def look(self) -> None:
        """Take a sample of its memory."""
        if self._folder.exists():
            self._memory.append(int((self._folder / "statm").read_text().split()[1]) * _PAGE)

    async def end(self, spare: int) -> None:
        """Note where it stands when it has come to rest."""
        deadline = time.monotonic() + IDLE_S
        while True:
            self._after = self._descriptors()
            if self._after <= self._before + spare or time.monotonic() > deadline:
                return
            await asyncio.sleep(0.5)

    @property
    def _thirds(self) -> tuple[float, float]:
        third = max(1, len(self._memory) // 3)
        return fmean(self._memory[:third]), fmean(self._memory[-third:])

    def line(self, name: str, spare: int, growth: float) -> str:
        """In one line."""
        first, last = self._thirds
        return (
            f"{name}: descriptors {self._before} at the start, {self._after} at the end (at most {spare} more); "
            f"memory {first / 1e6:.1f} MB in the first third, {last / 1e6:.1f} MB in the last "
            f"({100 * (last / first - 1):+.1f} %, at most {100 * (growth - 1):+.0f} %)"
        )

    def troubles(self, name: str, spare: int, growth: float) -> list[str]:
        """What is more than it may be."""
        first, last = self._thirds
        found = []
        if self._after > self._before + spare:
            found.append(f"{name}: {self._after} descriptors, {self._before} at the start")
        if last > first * growth:
            found.append(f"{name}: memory has grown from {first / 1e6:.1f} to {last / 1e6:.1f} MB")
        return found

    def _descriptors(self) -> int:
        return len(list((self._folder / "fd").iterdir())) if self._folder.exists() else 0
