"""The limiter: how many messages may begin, counted by all workers together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mailer.vocabulary.quantity import Rate


@dataclass(frozen=True, slots=True)
class Bucket:
    """What is counted together (a relay, a domain behind it), and how much of it there may be.

    Several of one name are the rates of one line: the fastest spaces, the others are quotas over a sliding window.
    """

    name: str
    rate: Rate


class Limiter(Protocol):
    """Places in a line that all workers stand in."""

    async def take(self, buckets: Sequence[Bucket], *, most_s: float) -> float:
        """Take the next place that is free in all buckets at once; seconds until it is its turn, 0.0 for now.

        When that is more than `most_s`, nothing is taken, and the answer says when to ask again.
        A place that is to come counts as of its own time.
        """
