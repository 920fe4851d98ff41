"""When a deferred recipient is tried again, and when no more."""

JITTER = 0.2
"""Share of a delay that it may be shorter or longer, so that recipients deferred together do not come back together."""


def next_due(attempt: int, delays: tuple[float, ...], *, jitter: float) -> float:
    """Seconds to wait after the `attempt`-th try (from 1); the last of `delays` repeats.

    `delays` has at least one entry. `jitter` is a random number in [-1, 1] of the caller's making.
    """
    return delays[min(max(attempt, 1), len(delays)) - 1] * (1 + JITTER * jitter)


def is_expired(attempt: int, age: float, *, max_attempts: int, max_age: float) -> bool:
    """Tell whether a recipient accepted `age` seconds ago has had its time or its tries (RFC 5321 section 4.5.4.1)."""
    return age >= max_age or attempt >= max_attempts
