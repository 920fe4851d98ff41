"""What one attempt asks of the ledger: its mark, or the outcome that comes after it."""

from typing import TYPE_CHECKING

import structlog
from msgspec import Struct

from mailer.backends.redis.events import STATES, read_events

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

log = structlog.get_logger("mailer.ledger")


class Operation(Struct, array_like=True, eq=False, gc=False):
    """One mark or outcome. A mark leads to the letter `g` and leaves nothing behind.

    An answered one can be encoded, and is made again of its fields (see `stowed.py`).
    """

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
