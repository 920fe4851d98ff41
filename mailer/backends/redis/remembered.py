"""What a worker remembers of its last seconds: the marks it was granted and the outcomes it has written."""

import math
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import structlog
from msgspec import Struct

from mailer.backends.redis.events import STATES, read_events

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

KEEP_S = 15.0
"""How long an operation is kept at least: a rollback costs the last second or two. `beat.lua` counts on it: more than
that is a loss that a person has to look at."""
MOST_KEPT = 100_000
"""So many are kept at most; the oldest answered ones go first."""

log = structlog.get_logger("mailer.ledger")


class Operation(Struct, eq=False, gc=False):
    """One mark or outcome. A mark leads to the letter `g` and leaves nothing behind."""

    campaign_id: str
    chunk: int
    index: int
    token: str
    """Of its claim."""
    letter: str
    """The state it leads to."""
    address: str
    """The recipient's address key."""
    counted: int = 0
    """1 when it is an attempt that counts."""
    due_ms: int = 0
    """When a deferred recipient is due."""
    event: bytes = b""
    """What it appends to the chunk's events; empty for a release nobody needs to know of."""
    note: str = ""
    """What it puts on the suppression list; mostly empty."""
    claimed_ms: int = 0
    """When its claim was made, by the clock of the queue server."""
    heard: "Callable[[int], None] | None" = None
    """Told what the queue server answers, once, as soon as it has."""
    granted: "asyncio.Future[bool] | None" = None
    """What is waited for until a mark is granted. A mark nobody waits for any more is not written."""
    is_answered: bool = False
    kept_at: float = 0.0
    told: bool = False

    @property
    def is_mark(self) -> bool:
        """True for a `sending` mark, False for an outcome."""
        return self.letter == "g"

    @property
    def is_withdrawn(self) -> bool:
        """True for a mark that nobody waits for any more."""
        return self.granted is not None and self.granted.done()

    @property
    def words(self) -> "tuple[str | int, ...]":
        """As `transition.lua` reads it, but for the event."""
        if self.letter == "g":
            return (self.chunk, self.index, self.token, self.address)
        return (
            self.chunk,
            self.index,
            self.token,
            self.address,
            self.letter,
            self.counted,
            self.due_ms,
            self.note,
        )

    def answered(self, answer: int) -> None:
        """The queue server has answered."""
        self.is_answered = True
        heard, self.heard, self.granted = self.heard, None, None
        if heard is not None:
            heard(answer)

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
    """The last operation of each attempt, for as long as the queue server may forget it.

    Nothing grows old by itself: a server that was away for a minute may come back without what it had answered before.
    """

    def __init__(self, *, keep_s: float = KEEP_S, most: int = MOST_KEPT) -> None:
        self._keep_s = keep_s
        self._most = most
        self._kept: dict[str, dict[int, Operation]] = {}  # by the claim's token and the index in its chunk
        self._count = 0

    def keep(self, operation: Operation, at: float) -> None:
        """Remember an operation in place of what was remembered of the same attempt. `at` is now (monotonic clock)."""
        operation.kept_at = at
        of_claim = self._kept.get(operation.token)
        if of_claim is None:
            of_claim = self._kept[operation.token] = {}
        before = len(of_claim)
        of_claim[operation.index] = operation
        self._count += len(of_claim) - before
        if (excess := self._count - self._most) > 0:
            self._drop(excess)

    def forget(self) -> None:
        """Forget what is old. To be called while the server is known not to have been started again since."""
        self._drop(self._count, before=time.monotonic() - self._keep_s)

    def _drop(self, most: int, *, before: float = math.inf) -> None:
        """Drop the oldest, but not what nobody has written yet, whatever its age."""
        for token, of_claim in list(self._kept.items()):
            gone: list[int] = []
            for index, oldest in of_claim.items():
                if len(gone) == most or oldest.kept_at >= before:
                    break
                if oldest.is_answered:
                    gone.append(index)
            for index in gone:
                del of_claim[index]
            if not of_claim:
                del self._kept[token]
            self._count -= len(gone)
            most -= len(gone)

    def __iter__(self) -> Iterator[Operation]:
        return iter([operation for of_claim in self._kept.values() for operation in of_claim.values()])

    def __len__(self) -> int:
        return self._count

    def by_chunk(self) -> Mapping[tuple[str, int], list[Operation]]:
        """Everything remembered, by campaign and chunk."""
        found: dict[tuple[str, int], list[Operation]] = {}
        for operation in self:
            found.setdefault((operation.campaign_id, operation.chunk), []).append(operation)
        return found
