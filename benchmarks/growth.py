"""Growth: a long list through the whole mailer. Does it stay as fast, and as small?"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import ours
from benchmarks.course import Course
from benchmarks.crew import BenchmarkError, Crew
from benchmarks.ground import Ground
from benchmarks.measuring import trees
from benchmarks.queue_server import NAME as QUEUE
from benchmarks.queue_server import used_bytes
from benchmarks.stages import Stage, measured, report
from benchmarks.table import number, table

PARTS = 10
LOOK_S = 0.05
STALL_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A tenth of the list, as it stood at its end."""

    messages: int
    """At the sink so far."""
    rate: float
    """Of this tenth."""
    rss_mb: dict[str, float]
    """Of each process, now; a worker process is called by its place."""
    redis_mb: float
    """What the data take in Redis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """All tenths, and the report of the finished campaign."""

    parts: tuple[Part, ...]
    report: Stage
    finished_bytes: float

    def document(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def growth(ground: Ground, tell: Callable[[str], None]) -> Growth:
    """Send it once, streamed, with workers that are there from the beginning."""
    with ground.lap() as (course, crew):
        empty = used_bytes(course.queue_socket)
        ours.workers_wait(course, crew)
        before = ground.sink.count()
        ours.stream(course, crew)
        parts: list[Part] = []
        crew.until(lambda: ground.sink.count() > before, "the first message at the sink")
        last_count, last_time, moved = 0, time.monotonic(), time.monotonic()
        count = 0
        while len(parts) < PARTS:
            time.sleep(LOOK_S)
            crew.complain()
            now, seen = time.monotonic(), ground.sink.count() - before
            moved, count = (now if seen > count else moved), seen
            if now - moved > STALL_S:
                raise BenchmarkError(f"nothing came to the sink for {STALL_S:g} s, after {count}")
            if count >= (len(parts) + 1) * course.messages // PARTS:
                rate = (count - last_count) / (now - last_time)
                redis_mb = used_bytes(course.queue_socket) / 1e6
                parts.append(Part(messages=count, rate=rate, rss_mb=_resident(crew), redis_mb=redis_mb))
                tell(f"{count:>10,} {rate:8.0f}/s  {parts[-1].rss_mb}  Redis {redis_mb:.0f} MB")
                last_count, last_time = count, now
        ours.all_recorded(course, crew)
        finished = (used_bytes(course.queue_socket) - empty) / course.messages
        return Growth(parts=tuple(parts), report=_report(course, crew), finished_bytes=finished)


def _report(course: Course, crew: Crew) -> Stage:
    out = Path(course.scratch) / "report"
    return measured(course, crew, "report", "report", lambda: report(course, crew, "report", "table", out))


def _resident(crew: Crew) -> dict[str, float]:
    found = trees(crew.pids.values())
    names = {"producer": "producer", QUEUE: QUEUE}
    resident = {name: round(found[crew.pids[pid]][0].rss_mb, 1) for pid, name in names.items() if found[crew.pids[pid]]}
    workers = [process for process in found[crew.pids["worker"]][1:] if not process.is_over]
    return resident | {f"worker {place}": round(process.rss_mb, 1) for place, process in enumerate(workers, 1)}


def growth_table(found: Growth) -> str:
    """For people."""
    names = list(dict.fromkeys(name for part in found.parts for name in part.rss_mb))
    head = ("messages", "msg/s", *(f"{name} MB" for name in names), "data in Redis MB")
    rows = [
        (
            f"{part.messages:,}",
            number(part.rate),
            *(number(part.rss_mb[name]) if part.rss_mb.get(name) else "–" for name in names),
            number(part.redis_mb),
        )
        for part in found.parts
    ]
    words = (
        f"last tenth : first tenth = {found.parts[-1].rate / found.parts[0].rate:.2f}\n"
        f"Redis: {found.finished_bytes:.0f} B a finished recipient\n"
        f"report of the finished campaign: {found.report.seconds:.1f} s, {found.report.peak_mb:.0f} MB at most"
    )
    return f"{table(head, rows)}\n\n{words}"
