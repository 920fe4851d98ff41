"""An operator, workers and a producer at one campaign in any order: after every step the counters are the recount."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import ResponseError

from mailer.backends.redis.ledgers import Ledgers
from mailer.policy.selection import select
from mailer.vocabulary.acts import Resolution
from mailer.vocabulary.campaign import Campaign, CampaignState
from mailer.vocabulary.chunk import Draft
from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.recipient import State
from tests.ledger.campaigns import FAILED, IN_DOUBT, REFUSED, RELEASED, SENT, deferred, drafts, records, running
from tests.ledger.files import File, carrying, files_of
from tests.ledger.hands import Hand, hand, reconciler
from tests.operator.recount import is_live, sound
from tests.thorough import thorough

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mailer.vocabulary.chunk import Claim, Claimed

CHUNKS, STEPS = 3, 60
KEEPS = ("queued", "claimed", "sending", "deferred", "refused", "failed", "in_doubt")
"""States whose message is stored."""
SHARED = File(b"the terms, for everybody")


def with_copy(rows: Sequence[int], *files: File) -> list[Draft]:
    """Messages that carry these files, each with a copy to one and the same address."""
    return [
        copy for draft in carrying(rows, *files) for copy in (draft, replace(draft, email="boss@x.test", by_row=True))
    ]


def plain(start: int) -> list[Draft]:
    return drafts(range(start, start + 4))


def laden(start: int) -> list[Draft]:
    return [draft for row in (start, start + 1) for draft in with_copy([row], SHARED, File(b"%d" % row))]


class Scene:
    """One campaign, two workers, one operator; each method is one step that may happen at any time."""

    def __init__(self, ledgers: Ledgers, campaign: Campaign, workers: list[Hand], chance: random.Random) -> None:
        self.ledgers, self.campaign, self.workers, self.chance = ledgers, campaign, workers, chance
        self.claims: list[tuple[Hand, Claim, list[Claimed]]] = []
        self.healer = reconciler(ledgers)
        self.final: dict[tuple[int, str], State] = {}
        self.appending: list[str] = []
        self.rows = 100

    async def claim(self) -> None:
        worker = self.chance.choice(self.workers)
        claim = await worker.claim(self.campaign, self.chance.randrange(CHUNKS))
        self.claims.append((worker, claim, list(claim.recipients)))

    async def mark(self) -> None:
        if self.claims:
            worker, claim, left = self.chance.choice(self.claims)
            if left:
                await worker.mark(claim, self.chance.choice(left))

    async def decide(self) -> None:
        if not self.claims:
            return
        worker, claim, left = self.chance.choice(self.claims)
        if left:
            recipient = left.pop(self.chance.randrange(len(left)))
            later = deferred(claim.redis_ms + self.chance.choice([0, 60_000]))
            await worker.record(
                claim, recipient, self.chance.choice([SENT, REFUSED, FAILED, IN_DOUBT, RELEASED, later])
            )

    async def end(self) -> None:
        if self.claims:
            worker, claim, left = self.claims.pop(self.chance.randrange(len(self.claims)))
            for recipient in left:
                worker.delivery.record(claim, recipient, RELEASED)
            await worker.delivery.end_run(claim)

    async def pause(self) -> None:
        await self.ledgers.control.pause(self.campaign.id, "why")

    async def resume(self) -> None:
        await self.ledgers.control.resume(self.campaign.id)

    async def retry(self) -> None:
        states = self.chance.choice([None, "in_doubt", "deferred", "refused,failed"])
        limit = self.chance.choice([None, 1, 2])
        await self.ledgers.control.retry(self.campaign.id, select(states, None, None, limit))

    async def resolve(self) -> None:
        if doubtful := [one.email for one in await records(self.ledgers, self.campaign) if one.state is State.IN_DOUBT]:
            address = self.chance.choice(doubtful)
            await self.ledgers.control.resolve(self.campaign.id, [address], self.chance.choice(list(Resolution)))

    async def append(self) -> None:
        """Another list begins, or one more row of it comes, or it ends."""
        step = self.chance.choice(["begin", "more", "end"]) if self.appending else "begin"
        intake, self.rows = self.ledgers.intake, self.rows + 1
        if step == "begin":
            await intake.reopen(self.campaign, appending=f"list {self.rows}")
            self.appending.append(f"list {self.rows}")
        elif step == "more":
            try:
                assert not await intake.accept(self.campaign, with_copy([self.rows], SHARED, File(b"%d" % self.rows)))
            except ResponseError as error:
                if "CANCELLED" not in str(error):
                    raise
        else:
            await intake.complete(self.campaign, "run", invalid=1, duplicate=0, appended=self.appending.pop())

    async def heal(self) -> None:
        await self.healer.revive()

    async def together(self) -> None:
        """Two steps at once: each compare-and-set finds what the other has changed."""
        steps = [self.chance.choice([self.end, self.retry, self.resolve, self.resume])() for _ in range(2)]
        for error in await asyncio.gather(*steps, return_exceptions=True):
            if isinstance(error, BaseException) and not isinstance(error, UsageError):
                raise error

    async def cancel(self) -> None:
        await self.ledgers.control.cancel(self.campaign.id, "enough")

    async def never_changing(self) -> None:
        """Sent, suppressed and cancelled stay what they are, whatever happens."""
        for record in await records(self.ledgers, self.campaign):
            who = (record.row, record.email)
            before = self.final.get(who)
            assert before is None or record.state is before, (record, before)
            if record.state in (State.SENT, State.CANCELLED):
                self.final[who] = record.state


@pytest.mark.thorough
@pytest.mark.parametrize("chunk_of", [plain, laden])
@pytest.mark.parametrize("seed", [1, *thorough(0, *range(2, 12))])
async def test_counters_are_the_recount_after_every_step(
    ledgers: Ledgers, seed: int, chunk_of: "Callable[[int], list[Draft]]"
) -> None:
    chance = random.Random(seed)
    campaign = await running(ledgers, *(chunk_of(start) for start in range(1, 4 * CHUNKS, 4)))
    async with hand(ledgers) as one, hand(ledgers) as two:
        for worker in (one, two):
            await worker.beat()
        scene = Scene(ledgers, campaign, [one, two], chance)
        calm: list[Callable[[], Awaitable[None]]] = [
            *[scene.claim, scene.mark, scene.decide, scene.decide, scene.decide, scene.end] * 2,
            *[scene.pause, scene.resume, scene.resume, scene.retry, scene.resolve, scene.heal, scene.together],
            *([scene.append] * 3 if chunk_of is laden else []),
        ]
        for number in range(STEPS):
            step = scene.cancel if number == STEPS - 15 and seed % 3 else chance.choice(calm)
            # What its state does not allow is refused, and changes nothing.
            with suppress(UsageError):
                await step()
            await sound(ledgers, campaign)
            await scene.never_changing()
        while scene.claims:
            await scene.end()
            await sound(ledgers, campaign)
    for _ in range(3):
        await scene.healer.revive()
    status = await sound(ledgers, campaign)
    if status.state is CampaignState.CANCELLED:
        assert status.totals.open == 0
        assert not await is_live(ledgers, campaign)
    if not any(record.state.value in KEEPS for record in await records(ledgers, campaign)):
        assert not await files_of(ledgers, campaign)
