"""How many messages may be under way over one route at once, as the relay's replies ask for it (AIMD)."""

from dataclasses import dataclass, replace

PATIENCE = 20
"""How many times as many good messages it takes to come back to the width that was too much the last time.

Most relays make the whole route rest for being asked too much, 10 s or a minute: that is worth avoiding.
"""


@dataclass(frozen=True, slots=True)
class Congestion:
    """The width of a route as one process sees it, from 1 up to `limit`; at first it is the limit.

    Halved when the relay asks for less; one more after as many good messages as it is wide, and after 20 times as many
    where that one was too much before. After an outage it begins at 1 and doubles, until the relay asks for less again.
    """

    limit: int
    """Connections that the route allows (`smtp.max_connections`), at least 1."""
    width: int
    successes: int = 0
    """Good messages since the width changed."""
    is_returning: bool = False
    """True on the way back from an outage: the width doubles."""
    cuts: int = 0
    """How often it was made narrower: tells a reply to what was begun before the last time."""
    too_much: int = 0
    """The width at which the relay asked for less the last time; 0 where it did not."""

    @classmethod
    def none(cls, limit: int) -> "Congestion":
        """As wide as it may be. A limit below 1 is 1: a route that is used at all takes a message."""
        return cls(limit=max(1, limit), width=max(1, limit))

    @property
    def is_narrow(self) -> bool:
        """True while less is under way than the route allows."""
        return self.width < self.limit

    def slowed(self, cuts: int) -> "Congestion":
        """The relay asks for less, in its answer to something that was begun when there had been so many `cuts`.

        Five connections that are throttled together are one wish, not five: an older answer changes nothing.
        """
        if cuts != self.cuts:
            return self
        return replace(
            self,
            width=max(1, self.width // 2),
            successes=0,
            is_returning=False,
            cuts=self.cuts + 1,
            too_much=self.width,
        )

    def restarted(self) -> "Congestion":
        """The route counts as down: whoever finds it back finds it with one message."""
        return replace(self, width=1, successes=0, is_returning=True, cuts=self.cuts + 1, too_much=0)

    def succeeded(self, cuts: int) -> "Congestion":
        """The relay took a message, or refused it in good order, that was begun when there had been so many `cuts`.

        What was begun while more was under way proves nothing for the width of now.
        """
        if cuts != self.cuts or not self.is_narrow:
            return self
        if self.successes + 1 < self.width * (PATIENCE if self.width + 1 == self.too_much else 1):
            return replace(self, successes=self.successes + 1)
        wider = min(self.limit, self.width * 2 if self.is_returning else self.width + 1)
        return replace(self, width=wider, successes=0)
