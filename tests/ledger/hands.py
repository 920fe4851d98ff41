"""Workers of the ledger: they claim, mark and record like a worker process, one step at a time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mailer.backends.redis.delivery import RedisDelivery
from mailer.backends.redis.fleet import Worker, details_of, new_owner
from mailer.backends.redis.ledgers import Ledgers
from mailer.backends.redis.operation import Operation
from mailer.backends.redis.reconciler import RedisReconciler
from mailer.backends.redis.recorder import Recorder
from mailer.backends.redis.scripts import BEAT
from mailer.vocabulary.campaign import Campaign
from mailer.vocabulary.chunk import Claim, Claimed
from mailer.vocabulary.outcome import Outcome


@dataclass(frozen=True)
class Hand:
    """One worker: dead to the others until it beats."""

    ledgers: Ledgers
    owner: str
    delivery: RedisDelivery
    recorder: Recorder

    async def beat(self) -> None:
        """Be alive for as long as the lease."""
        worker = Worker(owner=self.owner, host="here", pid=1, version="1")
        keys = self.ledgers.keys
        names = [keys.workers, keys.worker_details, keys.identity, keys.schema]
        await BEAT(self.ledgers.redis, names, self.owner, details_of(worker), "", "")

    async def claim(self, campaign: Campaign, chunk: int = 0) -> Claim:
        return await self.delivery.claim(campaign, chunk)

    async def mark(self, claim: Claim, recipient: Claimed) -> bool:
        return await self.delivery.mark(claim, recipient)

    async def record(self, claim: Claim, recipient: Claimed, outcome: Outcome) -> None:
        """Record an outcome and wait until it is in Redis."""
        self.delivery.record(claim, recipient, outcome)
        await self.written(claim)

    async def written(self, claim: Claim) -> None:
        """Wait until all that was recorded is in Redis: what is asked after it is answered after it."""
        answer = asyncio.get_running_loop().create_future()
        nobody = (1_000_000, "nobody's", "g", "nobody@x.test")
        self.recorder.submit(Operation(claim.campaign_id, claim.chunk, *nobody, heard=answer.set_result))
        await answer

    async def finish(self, claim: Claim, outcome: Outcome) -> None:
        """Bring everybody in the claim to the same end."""
        for recipient in claim.recipients:
            assert await self.mark(claim, recipient)
            self.delivery.record(claim, recipient, outcome)
        await self.delivery.end_run(claim)


@asynccontextmanager
async def hand(ledgers: Ledgers, lease_holds: Callable[[], bool] = lambda: True) -> AsyncIterator[Hand]:
    """A worker that does what it is told."""
    owner = new_owner()
    async with Recorder(ledgers.redis, ledgers.keys) as recorder:
        delivery = RedisDelivery(ledgers.campaigns, recorder, ledgers.jobs, owner, lease_holds)
        yield Hand(ledgers, owner, delivery, recorder)


def reconciler(ledgers: Ledgers) -> RedisReconciler:
    """What heals."""
    return RedisReconciler(ledgers.campaigns, ledgers.fleet, ledgers.jobs, new_owner())
