"""Each stage of ours alone: producer, drain beside the bare client, report; and what a recipient costs in Redis."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.arrival import arrived
from benchmarks.course import Course
from benchmarks.crew import BenchmarkError, Crew
from benchmarks.ground import Ground
from benchmarks.measuring import Watch, cpu_s
from benchmarks.ours import DEFAULTS, MAILER, TUNED, all_recorded, environ, latest, start_sending, workers_wait
from benchmarks.peers import pipelined_client
from benchmarks.queue_server import NAME as QUEUE
from benchmarks.queue_server import used_bytes
from benchmarks.table import number, table

LIMIT_S = 3600.0
DRAIN = "drain of the full queue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage."""

    name: str
    messages: int
    seconds: float
    cpu_s: float
    """Of its own processes."""
    queue_cpu_s: float
    peak_mb: float
    """Of its largest process."""

    @property
    def rate(self) -> float:
        """Recipients a second."""
        return self.messages / self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """All of them, and bytes of Redis a recipient."""

    stages: tuple[Stage, ...]
    limit: Stage
    """The bare client, in the same run."""
    empty_bytes: int
    """What Redis takes before, with its scripts and one recipient."""
    queued_bytes: float
    finished_bytes: float

    def document(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def stages(ground: Ground, *, rounds: int, tell: Callable[[str], None]) -> Stages:
    """Go through them so many times, the bare client as often as ours; of each stage the run in the middle counts."""
    found = []
    for number_of_round in range(1, rounds + 1):
        tell(f"round {number_of_round} of {rounds}")
        found.append(_round(ground, tell))
    return replace(
        found[-1],
        stages=tuple(map(_middle, zip(*(one.stages for one in found), strict=True))),
        limit=_middle([one.limit for one in found]),
    )


def _middle(runs: Sequence[Stage]) -> Stage:
    return sorted(runs, key=lambda stage: stage.rate)[len(runs) // 2]


def _round(ground: Ground, tell: Callable[[str], None]) -> Stages:
    with ground.lap() as (course, crew):
        tell("producer")
        produced, empty = _produced(course, crew)
        queued = used_bytes(course.queue_socket) - empty
        tell("drain")
        drained = _drained(ground, course, crew)
        finished = used_bytes(course.queue_socket) - empty
        tell("reports")
        reports = [_reported(course, crew, form) for form in ("table", "jsonl")]
    tell("drain, tuned")
    with ground.lap() as (course, crew):
        _produced(course, crew, TUNED)
        tuned = replace(_drained(ground, course, crew, TUNED), name=f"{DRAIN}, tuned")
    tell("bare client")
    return Stages(
        stages=(produced, drained, tuned, *reports),
        limit=_limit(ground),
        empty_bytes=empty,
        queued_bytes=queued / course.messages,
        finished_bytes=finished / course.messages,
    )


def drain(ground: Ground) -> Stage:
    """The drain alone; the queue is filled before."""
    with ground.lap() as (course, crew):
        _produced(course, crew)
        return _drained(ground, course, crew)


def _produced(course: Course, crew: Crew, settings: Mapping[str, str] = DEFAULTS) -> tuple[Stage, int]:
    """What one recipient costs is the start of the command; the CPU time of a recipient is without it.

    Also the bytes that Redis takes after that one.
    """
    start = measured(
        course, crew, "start", "producer", lambda: start_sending(course, crew, "--limit", "1", "--key", "0")
    )
    crew.end("producer")
    _command(course, crew, "cancel", "--reason", "start-up was measured")
    used = used_bytes(course.queue_socket)
    stage = measured(
        course,
        crew,
        "producer: CSV to a full queue",
        "producer",
        lambda: start_sending(course, crew, settings=settings),
    )
    spent, spent_by_queue = stage.cpu_s - start.cpu_s, stage.queue_cpu_s - start.queue_cpu_s
    return replace(stage, cpu_s=spent, queue_cpu_s=spent_by_queue), used


def _limit(ground: Ground) -> Stage:
    """The bare client's messages, from the first to the last at the sink as the drain's."""
    with ground.lap() as (course, crew):
        before, spent = ground.sink.count(), cpu_s(crew.pids)
        with Watch(crew.pids) as watch:
            pipelined_client.go(course, crew)
            arrival = arrived(ground, crew, before=before, limit_s=LIMIT_S)
        now = cpu_s(crew.pids)
        names = [name for name in now if name != QUEUE]
        return Stage(
            name="bare pipelined client (a limit)",
            messages=course.messages,
            seconds=course.messages / arrival.rate,
            cpu_s=sum(now[name] for name in names),
            queue_cpu_s=now[QUEUE] - spent[QUEUE],
            peak_mb=max(watch.peaks_mb[name] for name in names),
        )


def _drained(ground: Ground, course: Course, crew: Crew, settings: Mapping[str, str] = DEFAULTS) -> Stage:
    """From the first to the last message at the sink, with workers that are there already."""
    _command(course, crew, "pause", "--reason", "until the workers wait")
    workers_wait(course, crew, settings)
    spent, before = cpu_s(crew.pids), ground.sink.count()
    with Watch(crew.pids) as watch:
        _command(course, crew, "resume")
        arrival = arrived(ground, crew, before=before, limit_s=LIMIT_S)
        all_recorded(course, crew)
    if (sent := ground.sink.count() - before) != course.messages:
        raise BenchmarkError(f"{sent} messages came to the sink, not {course.messages}")
    now = cpu_s(crew.pids)
    crew.end("worker")
    return Stage(
        name=DRAIN,
        messages=course.messages,
        seconds=course.messages / arrival.rate,
        cpu_s=now["worker"] - spent["worker"],
        queue_cpu_s=now[QUEUE] - spent[QUEUE],
        peak_mb=watch.peaks_mb["worker"],
    )


def _command(course: Course, crew: Crew, name: str, *flags: str) -> None:
    """Run a command about the latest campaign."""
    id_of_latest = latest(course, crew)
    crew.start(name, [*MAILER, name, id_of_latest, *flags], environ=environ(course))
    crew.until_over(name)
    crew.end(name)


def _reported(course: Course, crew: Crew, form: str) -> Stage:
    out = Path(course.scratch) / f"report.{form}"
    return measured(course, crew, f"report as {form}", form, lambda: report(course, crew, form, form, out))


def report(course: Course, crew: Crew, name: str, form: str, out: Path) -> None:
    """Start `mailer report`."""
    crew.start(name, [*MAILER, "report", "--format", form, "-o", out], environ=environ(course))


def measured(course: Course, crew: Crew, name: str, process: str, start: Callable[[], None]) -> Stage:
    """Start a process and wait for its end."""
    spent = cpu_s(crew.pids)
    begun = time.monotonic()
    with Watch(crew.pids) as watch:
        start()
        crew.until_over(process, seconds=LIMIT_S)
    seconds = time.monotonic() - begun
    now = cpu_s(crew.pids)
    return Stage(
        name=name,
        messages=course.messages,
        seconds=seconds,
        cpu_s=now[process],
        queue_cpu_s=now[QUEUE] - spent[QUEUE],
        peak_mb=watch.peaks_mb.get(process, 0.0),
    )


def stages_table(found: Stages) -> str:
    """For people."""
    head = ("", "recipients/s", "seconds", "CPU µs each", "queue's CPU µs", "largest process MB", "this : bare client")
    rows = [
        (
            stage.name,
            number(stage.rate),
            number(stage.seconds),
            number(1e6 * stage.cpu_s / stage.messages),
            number(1e6 * stage.queue_cpu_s / stage.messages),
            number(stage.peak_mb),
            number(stage.rate / found.limit.rate) if stage.name.startswith(DRAIN) else "–",
        )
        for stage in (*found.stages, found.limit)
    ]
    memory = f"Redis: {found.queued_bytes:.0f} B a queued recipient, {found.finished_bytes:.0f} B a finished one"
    return f"{table(head, rows)}\n\n{memory}"
