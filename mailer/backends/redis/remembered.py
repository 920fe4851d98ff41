"""What a worker remembers of its last seconds: the marks it was granted and the outcomes it has written."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from mailer.backends.redis.events import STATES, read_events

if TYPE_CHECKING:
    import asyncio

KEEP_S = 15.0
"""How long an operation is kept after the queue server has answered: a rollback costs the last second or two."""
MOST_KEPT = 100_000
"""So many are kept at most; the oldest answered ones go first."""

log = structlog.get_logger("mailer.ledger")

Place = tuple[str, int, int, str]
"""Campaign, chunk, index and token: one attempt at one recipient."""


@dataclass(slots=True)
class Operation:
    """One mark or outcome in the form `transition.lua` reads; `answer` is set when Redis has answered."""

    campaign_id: str
    arguments: tuple[str | bytes | int, ...]
    answer: "asyncio.Future[int]"
    claimed_ms: int = 0
    """When its claim was made, by the clock of the queue server."""
    withdrawn: bool = field(default=False)
    kept_at: float = 0.0
    told: bool = field(default=False)

    @property
    def is_mark(self) -> bool:
        """True for a `sending` mark, False for an outcome."""
        return self.arguments[0] == "m"

    @property
    def chunk(self) -> int:
        """The number of its chunk."""
        return int(self.arguments[1])

    @property
    def index(self) -> int:
        """The recipient's index in the chunk."""
        return int(self.arguments[2])

    @property
    def token(self) -> str:
        """The token of its claim."""
        return str(self.arguments[3])

    @property
    def letter(self) -> str:
        """The state it leads to."""
        return "g" if self.is_mark else str(self.arguments[4])

    @property
    def address(self) -> str:
        """The recipient's address key."""
        return str(self.arguments[4 if self.is_mark else 8])

    @property
    def counted(self) -> int:
        """1 when it is an attempt that counts."""
        return 0 if self.is_mark else int(self.arguments[5])

    @property
    def due_ms(self) -> int:
        """When a deferred recipient is due."""
        return 0 if self.is_mark else int(self.arguments[6])

    @property
    def event(self) -> bytes:
        """What it appends to the chunk's events; empty for a mark, and for a release nobody needs to know of."""
        return b"" if self.is_mark else _bytes(self.arguments[7])

    @property
    def note(self) -> bytes:
        """What it puts on the suppression list; mostly empty."""
        return b"" if self.is_mark else _bytes(self.arguments[9])

    def tell(self) -> None:
        """Say once in the log what the ledger has not, so that it can be settled by hand."""
        if self.is_mark or self.letter == "q" or self.told:
            return
        self.told = True
        event = next(read_events(self.event), None)
        log.error(
            "not recorded",
            campaign=self.campaign_id,
            chunk=self.chunk,
            index=self.index,
            state=STATES[self.letter].value,
            code=event.code if event is not None else None,
        )


class Memory:
    """The last operation of each attempt, for as long as the queue server may forget it."""

    def __init__(self, *, keep_s: float = KEEP_S, most: int = MOST_KEPT) -> None:
        self._keep_s = keep_s
        self._most = most
        self._kept: dict[Place, Operation] = {}

    def keep(self, operation: Operation) -> None:
        """Remember an operation in place of what was remembered of the same attempt."""
        place = (operation.campaign_id, operation.chunk, operation.index, operation.token)
        self._kept.pop(place, None)
        operation.kept_at = time.monotonic()
        self._kept[place] = operation
        self._forget(operation.kept_at)

    def _forget(self, now: float) -> None:
        while self._kept:
            place = next(iter(self._kept))
            oldest = self._kept[place]
            if now - oldest.kept_at <= self._keep_s and len(self._kept) <= self._most:
                return
            del self._kept[place]
            if not oldest.answer.done():
                # Nobody has written it yet: it is as young as it ever was.
                oldest.kept_at = now
                self._kept[place] = oldest
                if len(self._kept) > self._most:
                    return

    def __iter__(self) -> Iterator[Operation]:
        return iter(list(self._kept.values()))

    def __len__(self) -> int:
        return len(self._kept)

    def by_chunk(self) -> Mapping[tuple[str, int], list[Operation]]:
        """Everything remembered, oldest first, by campaign and chunk."""
        found: dict[tuple[str, int], list[Operation]] = {}
        for operation in self._kept.values():
            found.setdefault((operation.campaign_id, operation.chunk), []).append(operation)
        return found


def _bytes(value: str | bytes | int) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
