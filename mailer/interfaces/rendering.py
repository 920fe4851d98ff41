"""Rendering in several processes: whoever takes rows and gives their messages back, and what a ledger adds to it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from mailer.interfaces.source import Row
from mailer.vocabulary.campaign import Campaign
from mailer.vocabulary.composed import Composed


class Packed(bytes):
    """The content of a message as its campaign's ledger stores it, made from the ledger's `reference`."""


@runtime_checkable
class PackingLedger(Protocol):
    """A ledger that stores messages packed, and lets others pack them."""

    async def reference(self, campaign: Campaign) -> bytes | None:
        """What the messages of a campaign are packed with; None while it has none."""


@dataclass(slots=True)
class Job:
    """Rows that another process renders. `done` has a message for each, once there: None where it is left to us."""

    rows: Sequence[Row]
    done: Sequence[Composed | None] | None = None


class Renderers(Protocol):
    """Processes that render rows of one campaign, each row for itself."""

    def take(self, rows: Sequence[Row]) -> Job | None:
        """Hand rows over; None where nobody has room for them."""

    def collect(self, *, wait: bool) -> None:
        """Fill the jobs that are done. With `wait` there is at least one more; it must have been taken before.

        Raises `UsageError` E136 when a process has ended.
        """

    def close(self) -> None:
        """End the processes. May be called twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupation:
    """What renderers work on: the campaign as it is stored, and what its messages take from the run."""

    campaign: Campaign
    date: datetime
    after: int
    reference: bytes | None


StartRenderers = Callable[[Occupation], Awaitable[Renderers | None]]
"""Starts them; None where one process is enough or no other can be had."""
