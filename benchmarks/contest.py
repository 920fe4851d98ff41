"""The contest: the same list for everybody, one after the other, several rounds; the sink counts."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.arrival import arrived
from benchmarks.course import Runner
from benchmarks.crew import BenchmarkError, Crew
from benchmarks.ground import Ground
from benchmarks.measuring import Watch, busy_s, cpu_s
from benchmarks.queue_server import NAME as QUEUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Lap:
    """What one runner did in one round."""

    messages: int
    seconds: float
    """From the start of what sends to the last message at the sink."""
    steady_rate: float
    """Messages a second between the first and the last one at the sink."""
    cpu_s: float
    """Of all its processes, and of its queue server; not of the sink."""
    queue_cpu_s: float
    """The queue server's share of it."""
    peak_mb: float
    """Resident memory of all of them together."""
    disturbance: float
    """The part of the machine, 0 to 1, that others took meanwhile: neither the runner, nor the sink, nor we."""
    is_whole: bool
    """False when it was stopped before the end of the list."""

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU a message."""
        return 1e6 * self.cpu_s / self.messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """All rounds of one runner; without laps, `trouble` says why."""

    runner: Runner
    laps: tuple[Lap, ...] = ()
    trouble: str = ""

    def middle(self, of: Callable[[Lap], float]) -> float:
        """The median over the rounds."""
        return median(of(lap) for lap in self.laps)


def run_lap(ground: Ground, runner: Runner, limit_s: float) -> Lap:
    """Let one runner send the list, for at most `limit_s` seconds.

    Raises:
        BenchmarkError: it failed, the sink got nothing any more, or it sent more than the list.
    """
    with ground.lap(needs_queue=runner.needs_queue) as (course, crew), Watch(crew.pids) as watch:
        runner.ready(course, crew)
        before = ground.sink.count()
        spent = cpu_s(crew.pids)
        unknown_s = busy_s() - _known_s(ground, crew)
        begun = time.monotonic()
        runner.go(course, crew)
        arrival = arrived(ground, crew, before=before, limit_s=limit_s)
        others_s = busy_s() - _known_s(ground, crew) - unknown_s
        disturbance = others_s / (time.monotonic() - begun) / (os.cpu_count() or 1)
        if arrival.is_whole:
            runner.check(course, crew)
        watch.look()
        cost = {name: seconds - spent.get(name, 0.0) for name, seconds in cpu_s(crew.pids).items()}
        if arrival.is_whole and (sent := ground.sink.count() - before) != course.messages:
            raise BenchmarkError(f"{runner.name} sent {sent} messages, not {course.messages}")
    return Lap(
        messages=arrival.messages,
        seconds=arrival.last - begun,
        steady_rate=arrival.rate,
        cpu_s=sum(cost.values()),
        queue_cpu_s=cost.get(QUEUE, 0.0),
        peak_mb=watch.peak_mb,
        disturbance=min(1.0, max(0.0, disturbance)),
        is_whole=arrival.is_whole,
    )


def _known_s(ground: Ground, crew: Crew) -> float:
    """CPU time of all that is part of the measurement."""
    return sum(cpu_s(crew.pids).values()) + ground.sink.cpu_s() + time.process_time()


def contest(
    ground: Ground, runners: Sequence[Runner], *, rounds: int, limit_s: float, tell: Callable[[str], None]
) -> list[Result]:
    """Let all run, interleaved; each round begins with the next one. Who fails is out, and its trouble is told."""
    laps: dict[str, list[Lap]] = {runner.name: [] for runner in runners}
    trouble: dict[str, str] = {}
    for number in range(rounds):
        for runner in _rotated(runners, number):
            if runner.name in trouble:
                continue
            tell(f"round {number + 1} of {rounds}: {runner.name}")
            try:
                laps[runner.name].append(run_lap(ground, runner, limit_s))
            except BenchmarkError as error:
                trouble[runner.name] = str(error)
                tell(f"  {error}")
    return [
        Result(runner=runner, laps=tuple(laps[runner.name]), trouble=trouble.get(runner.name, "")) for runner in runners
    ]


def _rotated(runners: Sequence[Runner], by: int) -> Iterable[Runner]:
    by %= len(runners)
    return [*runners[by:], *runners[:by]]
