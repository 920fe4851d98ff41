"""What processes cost: CPU and memory of trees of processes, read from /proc."""

import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGESIZE")
EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Process:
    """A line of the process table; a zombie keeps its `cpu_s` until it is reaped."""

    pid: int
    parent: int
    is_over: bool
    cpu_s: float
    """Its own, and that of the children it has reaped."""
    rss_mb: float


def read_process(pid: int) -> Process | None:
    """One process, or None when there is none with this number."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is a name in brackets that may hold anything.
    fields = stat[stat.rindex(")") + 2 :].split()
    ticks = sum(int(fields[place]) for place in (11, 12, 13, 14))
    return Process(pid, int(fields[1]), fields[0] in "ZX", ticks / TICKS, int(fields[21]) * PAGE / 1e6)


def trees(roots: Iterable[int]) -> dict[int, list[Process]]:
    """Each root with all that descends from it."""
    known = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (process := read_process(int(name))) is not None:
            known[process.pid] = process
    children: dict[int, list[int]] = {}
    for process in known.values():
        children.setdefault(process.parent, []).append(process.pid)
    found = {}
    for root in roots:
        pids = [root]
        for pid in pids:
            pids.extend(children.get(pid, ()))
        found[root] = [known[pid] for pid in pids if pid in known]
    return found


@dataclass
class Watch:
    """Looks at named trees ten times a second. Memory is resident memory; pages that are shared count each time."""

    roots: Mapping[str, int]
    """The caller may add to it."""
    peak_mb: float = 0.0
    """The most that all had together."""
    peaks_mb: dict[str, float] = field(default_factory=dict)
    """The most that one process of each tree had."""
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(EVERY_S):
            self.look()

    def look(self) -> None:
        """Look once."""
        roots = dict(self.roots)
        found = trees(roots.values())
        self.peak_mb = max(self.peak_mb, sum(process.rss_mb for tree in found.values() for process in tree))
        for name, root in roots.items():
            most = max((process.rss_mb for process in found[root]), default=0.0)
            self.peaks_mb[name] = max(self.peaks_mb.get(name, 0.0), most)


def cpu_s(roots: Mapping[str, int]) -> dict[str, float]:
    """Seconds of CPU that each tree has used so far."""
    found = trees(roots.values())
    return {name: sum(process.cpu_s for process in found[root]) for name, root in roots.items()}


def busy_s() -> float:
    """Seconds of CPU that all cores together have been busy, whoever with, since the machine started."""
    user, nice, system, _, _, *others = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    irq, softirq, steal = others[:3]
    return sum(int(ticks) for ticks in (user, nice, system, irq, softirq, steal)) / TICKS
