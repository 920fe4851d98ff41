"""When to stop asking: a campaign that is refused too often, a route that fails again and again."""

from dataclasses import dataclass, replace

from mailer.policy.retry import JITTER
from mailer.vocabulary.verdict import Move, Verdict

LAST = 50
"""Messages over which the share of refusals is looked at."""
MOST_OF_LAST = 10
"""Refusals among them that are still borne: 20 %."""

ROUTE_ERRORS = 5
"""Errors in a row that open a route's breaker."""
SHORTEST, LONGEST = 1.0, 300.0
"""Seconds that an open breaker waits, at first and at most."""


@dataclass(frozen=True, slots=True)
class ContentBreaker:
    """Refusals of what one campaign sends, as one process sees them: `after` every verdict, look at `is_open`.

    What is about a recipient (no such mailbox) or about the route counts neither way. Open, it stays open: a person
    resumes the campaign, and with a new breaker.
    """

    limit: int = 5
    """Refusals in a row that open it (`pause_after_consecutive_failures`)."""
    in_a_row: int = 0
    last: int = 0
    """The last 50 messages as bits, the newest lowest: 1 is a refusal."""

    def after(self, verdict: Verdict) -> "ContentBreaker":
        """Count one verdict."""
        if self.is_open:
            return self
        if verdict.blames_message:
            return replace(self, in_a_row=self.in_a_row + 1, last=self._shifted | 1)
        if verdict.move is not Move.ACCEPTED or not self.last:
            return self
        return replace(self, in_a_row=0, last=self._shifted)

    @property
    def is_open(self) -> bool:
        """True after `limit` refusals in a row, or more than 20 % of the last 50 messages."""
        return self.in_a_row >= self.limit or self.last.bit_count() > MOST_OF_LAST

    @property
    def _shifted(self) -> int:
        return self.last << 1 & (1 << LAST) - 1


@dataclass(frozen=True, slots=True)
class RouteBreaker:
    """Whether a route is worth trying. Times are seconds of one monotonic clock.

    Closed, it lets everybody through. After five errors in a row it opens and waits 1 s, then twice as long after every
    failed probe, up to 5 min; one probe at a time goes through, and a success closes it.
    """

    errors: int = 0
    failing_since: float | None = None
    not_before: float = 0.0
    is_probing: bool = False

    @property
    def is_open(self) -> bool:
        """True while the route counts as down, probes included."""
        return self.errors >= ROUTE_ERRORS

    def wait(self, now: float) -> float:
        """Seconds until somebody may try; 0.0 is now."""
        return max(0.0, self.not_before - now)

    def down_for(self, now: float) -> float:
        """Seconds since the first error of the present row."""
        return 0.0 if self.failing_since is None else now - self.failing_since

    def trying(self, now: float) -> "RouteBreaker":
        """Somebody whose `wait` was over goes now. While open he is the only one.

        A probe that never comes back (its process is cancelled) makes room after 5 min.
        """
        return replace(self, is_probing=True, not_before=now + LONGEST) if self.is_open else self

    def failed(self, now: float, *, jitter: float) -> "RouteBreaker":
        """Trouble of the session or route. `jitter` is a random number in [-1, 1]."""
        if self.is_open and not self.is_probing:
            # An attempt from before the opening: five connections that die together are one outage, not five.
            return self
        errors = self.errors + 1
        since = now if self.failing_since is None else self.failing_since
        if errors < ROUTE_ERRORS:
            return replace(self, errors=errors, failing_since=since)
        # The exponent is bounded because 2.0 ** 1024 is an error and not a number.
        delay = SHORTEST * 2.0 ** min(errors - ROUTE_ERRORS, 16) * (1 + JITTER * jitter)
        not_before = now + min(max(delay, SHORTEST), LONGEST)
        return RouteBreaker(errors=errors, failing_since=since, not_before=not_before)

    def succeeded(self) -> "RouteBreaker":
        """The server took a message or refused it in good order: the route works. An ordered rest goes on."""
        if not self.errors:
            return self
        return RouteBreaker(not_before=0.0 if self.is_open else self.not_before)

    def resting(self, now: float, seconds: float) -> "RouteBreaker":
        """Keep everybody off for so many seconds (a verdict's `route_delay`), without counting an error."""
        return replace(self, not_before=max(self.not_before, now + seconds))
