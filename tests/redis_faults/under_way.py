"""A campaign under way: its messages take their time, so that what is done to the queue server comes amid them."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from mailer.capture.server import CaptureServer
from mailer.vocabulary.campaign import Campaign
from mailer.worker.process import WorkerProcess
from tests.operator.recount import sound
from tests.redis_faults import workers
from tests.redis_faults.servers import FaultyServer
from tests.servers import until
from tests.worker.relays import capture, submit, taken_twice


@dataclass(frozen=True, slots=True)
class UnderWay:
    """The campaign, where it is kept, and the relay that takes its messages."""

    ledgers: Ledgers
    relay: CaptureServer
    campaign: Campaign
    people: int
    lease_s: float

    @property
    def taken(self) -> int:
        """How many messages the relay has taken."""
        return self.relay.mailbox.accepted

    def at_work(self, count: int = 1, **changes: Any) -> AbstractAsyncContextManager[list[WorkerProcess]]:
        """So many workers until the end of the block."""
        return workers.at_work(self.ledgers, count, lease_s=self.lease_s, **changes)

    async def finished(self) -> None:
        """Wait for its end."""
        await until(lambda: workers.finished(self.ledgers, self.campaign.id), within=20)

    async def everybody_has_one(self) -> None:
        """All were sent to, nobody twice, and a recount agrees."""
        totals = (await sound(self.ledgers, self.campaign)).totals
        assert (totals.sent, totals.in_doubt) == (self.people, 0)
        assert not taken_twice(self.relay)


@asynccontextmanager
async def under_way(
    server: FaultyServer, folder: Path, *, people: int = 30, takes_ms: int = 60, chunk: int = 5, lease_s: float = 0.8
) -> AsyncIterator[UnderWay]:
    """To so many people, over two connections; each message takes `takes_ms`. Workers are up to the test."""
    async with open_ledgers(server.url, prefix="t", lease_s=lease_s) as ledgers, capture(folder) as relay:
        addresses = [f"slow+{takes_ms}ms-{row}@x.test" for row in range(people)]
        campaign = await submit(ledgers, relay, addresses, connections=2, chunk=chunk)
        yield UnderWay(ledgers, relay, campaign, people, lease_s)


async def nobody_is_well(ledgers: Ledgers) -> bool:
    """Whether no worker says that it is well; one that cannot say how it is has not been heard of for a lease."""
    return not any(worker.is_healthy for worker in await ledgers.fleet.alive())
