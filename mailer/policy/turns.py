"""Turns: who has how many of a few places, and which of those who wait is the next to have one."""

from collections import Counter
from collections.abc import Hashable
from typing import Generic, TypeVar

TURN_S = 1.0
"""How long a party may keep a place while another one waits that has none at all."""

Waiter = TypeVar("Waiter", bound=Hashable)


class Turns(Generic[Waiter]):
    """A book of places and waiters by party (a campaign); nobody waits in here.

    A place that is free goes to the party with the fewest (of equal ones, to that which has given none back for the
    longest time), and within it to who came first. Whoever has a place asks from time to time whether it `is_wanted`,
    so that nobody waits for the end of somebody else's work.
    """

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, dict[Waiter, None]] = {}

    def __len__(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiting.values()))

    def take(self, party: str) -> None:
        """This party has one place more."""
        self._held[party] += 1

    def give_back(self, party: str) -> None:
        """This party has one place less."""
        self._held[party] -= 1
        if not self._held[party]:
            del self._held[party]
        if (waiters := self._waiting.pop(party, None)) is not None:
            self._waiting[party] = waiters  # the last of equal ones

    def wait(self, party: str, waiter: Waiter) -> None:
        """Join those who wait, as the last of this party."""
        self._waiting.setdefault(party, {})[waiter] = None

    def leave(self, party: str, waiter: Waiter) -> None:
        """Wait no longer, if it still did."""
        waiters = self._waiting.get(party, {})
        waiters.pop(waiter, None)
        if not waiters:
            self._waiting.pop(party, None)

    def next(self) -> tuple[str, Waiter]:
        """Whose turn it is, and no longer waits. Raises ValueError when nobody waits."""
        party = min(self._waiting, key=self._held.__getitem__)
        waiter = next(iter(self._waiting[party]))
        self.leave(party, waiter)
        return party, waiter

    def is_wanted(self, party: str, held_s: float) -> bool:
        """True when a place that this party has had for so many seconds is to go to another one."""
        if not self._waiting or (len(self._waiting) == 1 and party in self._waiting):
            return False
        fewest = min(self._held[other] for other in self._waiting if other != party)
        return fewest + 1 < self._held[party] or (fewest == 0 and held_s > TURN_S)
