"""How the messages come to the sink: the first, the last, and the time between them."""

import time
from dataclasses import dataclass

from benchmarks.crew import BenchmarkError, Crew
from benchmarks.ground import Ground

LOOK_S = 0.005
STALL_S = 60.0
"""A sink that gets nothing for so long gets nothing more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Times are those of `time.monotonic`, to 5 ms."""

    messages: int
    first: float
    first_messages: int
    """How many there were when the first were seen."""
    last: float
    is_whole: bool
    """False when the limit came before the end of the list."""

    @property
    def rate(self) -> float:
        """Messages a second between the first and the last."""
        return (self.messages - self.first_messages) / max(self.last - self.first, LOOK_S)


def arrived(ground: Ground, crew: Crew, *, before: int, limit_s: float) -> Arrival:
    """Wait until everything is there, or the limit is; `before` is what the sink had counted at the start.

    Raises:
        BenchmarkError: a process failed, or nothing came (any more).
    """
    begun = moved = time.monotonic()
    first: tuple[float, int] | None = None
    count = 0
    while count < ground.messages and time.monotonic() - begun <= limit_s:
        now, seen = time.monotonic(), ground.sink.count() - before
        if seen > count:
            first = first or (now, seen)
            count, moved = seen, now
            continue
        crew.complain()
        ground.sink.complain()
        if now - moved > STALL_S:
            raise BenchmarkError(f"nothing came to the sink for {STALL_S:g} s, after {count} messages")
        time.sleep(LOOK_S)
    if first is None:
        raise BenchmarkError(f"nothing came to the sink in {limit_s:g} s")
    # One that was stopped ends with its last message, as the others do.
    is_whole = count >= ground.messages
    return Arrival(messages=count, first=first[0], first_messages=first[1], last=moved, is_whole=is_whole)
