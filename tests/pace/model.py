"""What the limiter should do, in a few lines: places of a line in memory, with `now` as an argument."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from mailer.policy.pace import interval_us, shape, slack_us
from mailer.vocabulary.quantity import Rate

PARTS = 60


def over_us(window_us: int, place: int) -> int:
    """When the part of a window that a place lies in counts no longer."""
    part_us = -(-window_us // PARTS)
    return (place // part_us + 1) * part_us + window_us


@dataclass
class Model:
    """Times are microseconds. A line is a name and its rates, the fastest first."""

    even: dict[str, int] = field(default_factory=dict)
    places: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    """By line and window."""

    def take(self, lines: Sequence[tuple[str, Sequence[Rate]]], now: int, most: int) -> int:
        start = max([now, *(self.even.get(name, now) - slack_us(rates[0]) for name, rates in lines)])
        quotas = [(name, quota) for name, rates in lines for quota in shape(rates)[1]]
        while full := [
            overs for name, quota in quotas if len(overs := self._overs(name, quota.window_us, start)) >= quota.messages
        ]:
            start = min(min(overs) for overs in full)
        if start - now <= most:
            for name, rates in lines:
                self.even[name] = max(self.even.get(name, now), start) + interval_us(rates[0])
                own = {quota.window_us for quota in shape(rates)[1]}
                for window_us in own | {known for line, known in self.places if line == name}:
                    if window_us in own or self._overs(name, window_us, now):
                        self.places.setdefault((name, window_us), []).append(start)
        return start - now

    def _overs(self, name: str, window_us: int, at: int) -> list[int]:
        """When those places of the line count no longer that count at this time."""
        return [over for place in self.places.get((name, window_us), ()) if (over := over_us(window_us, place)) > at]


def busiest(times: Sequence[float], window_s: float) -> int:
    """The most of these moments that lie in any window of so many seconds."""
    ordered = sorted(times)
    most = first = 0
    for last, time in enumerate(ordered):
        while time - ordered[first] >= window_s:
            first += 1
        most = max(most, last - first + 1)
    return most
