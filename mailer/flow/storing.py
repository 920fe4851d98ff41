"""Storing: drafts go into the ledger a chunk at a time, each once, and never more than the queue may hold."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailer.flow.chunking import FIRST, chunks_of, known_of

if TYPE_CHECKING:
    from mailer.flow.counts import Counts
    from mailer.interfaces.ledger import IntakeLedger
    from mailer.vocabulary.campaign import Campaign
    from mailer.vocabulary.chunk import Draft
    from mailer.vocabulary.settings import QueueSettings

LOW_WATER_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Storing:
    """The one way of a producer's drafts into the ledger."""

    ledger: "IntakeLedger"
    queue: "QueueSettings"

    async def store(self, campaign: "Campaign", drafts: "list[Draft]", counts: "Counts") -> bool:
        """Store what is not there yet, and count what was. True when anything was stored."""
        stored = False
        # A row with copies makes several drafts, and the chunks of a short list are small ones all the same.
        rows = len({draft.row for draft in drafts})
        for chunk in chunks_of(drafts, min(self.queue.chunk_size, max(FIRST, rows))):
            waiting = chunk
            while waiting:
                present = await self.ledger.accept(campaign, waiting)
                if not present:
                    counts.new += len(waiting)
                    stored = True
                    break
                known = known_of(waiting, present)
                counts.already += len(known)
                waiting = [draft for place, draft in enumerate(waiting) if place not in known]
        return stored

    async def is_full(self, campaign: "Campaign") -> bool:
        """True at the high-water mark."""
        return await self.ledger.queued_bytes(campaign) >= self.queue.high_water

    async def room(self, campaign: "Campaign", waiting: Callable[[], None]) -> None:
        """Above the high-water mark, wait for the low one; `waiting` is called at each look."""
        if await self.ledger.queued_bytes(campaign) <= self.queue.high_water:
            return
        # Workers elsewhere drain it; there is nothing in this process that could tell.
        while await self.ledger.queued_bytes(campaign) > self.queue.low_water:
            waiting()
            await asyncio.sleep(LOW_WATER_POLL_S)
