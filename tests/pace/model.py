"""What the limiter should do, in a few lines: places of a line in memory, with `now` as an argument."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from mailer.policy.pace import interval_us, slack_us
from mailer.vocabulary.quantity import Rate


@dataclass
class Model:
    """Times are microseconds."""

    even: dict[str, int] = field(default_factory=dict)

    def take(self, buckets: Sequence[tuple[str, Rate]], now: int, most: int) -> int:
        start = max([now, *(self.even.get(name, now) - slack_us(rate) for name, rate in buckets)])
        if start - now <= most:
            for name, rate in buckets:
                self.even[name] = max(self.even.get(name, now), start) + interval_us(rate)
        return start - now


def busiest(times: Sequence[float], window_s: float) -> int:
    """The most of these moments that lie in any window of so many seconds."""
    ordered = sorted(times)
    most = first = 0
    for last, time in enumerate(ordered):
        while time - ordered[first] >= window_s:
            first += 1
        most = max(most, last - first + 1)
    return most
