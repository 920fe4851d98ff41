"""Producers that are killed at any step, or are two at once: what stands afterwards is one whole campaign."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from mailer.backends.redis.ledgers import Ledgers
from mailer.interfaces.ledger import CampaignGoneError
from mailer.vocabulary.campaign import Campaign, CampaignState
from mailer.vocabulary.chunk import Draft
from mailer.vocabulary.recipient import LeftOut, LeftOutAs
from tests.ledger.campaigns import proposal, records, work_off
from tests.ledger.files import File, carrying, files_of
from tests.ledger.hands import reconciler
from tests.operator.recount import sound
from tests.thorough import thorough

TERMS = File(b"terms" * 100)
LEFT_OUT = LeftOut(row=99, email="x", kind=LeftOutAs.INVALID, reason="no @")


def people(first: int) -> list[Draft]:
    """Three rows with a file for all, and one each."""
    return [draft for row in range(first, first + 3) for draft in carrying([row], TERMS, File(b"%d" % row))]


async def store(ledgers: Ledgers, campaign: Campaign, first: int) -> None:
    """Store two chunks, whoever has stored some of them before."""
    for start in (first, first + 3):
        wanted = people(start)
        while wanted and (present := await ledgers.intake.accept(campaign, wanted)):
            wanted = [draft for place, draft in enumerate(wanted) if place not in present]


async def produce(ledgers: Ledgers, key: str, run: str) -> None:
    campaign = await ledgers.intake.open(proposal(key=key))
    await store(ledgers, campaign, 1)
    await ledgers.intake.leave_out(campaign, run, [LEFT_OUT])
    await ledgers.intake.seal(campaign, run, invalid=1, duplicate=0, complete=True)


async def append(ledgers: Ledgers, key: str, run: str) -> None:
    campaign = await ledgers.intake.open(proposal(key=key, fingerprint="other"), append=True)
    if "other" in (await ledgers.intake.status(campaign.id)).appended:
        return
    await ledgers.intake.reopen(campaign, appending="other")
    await store(ledgers, campaign, 11)
    await ledgers.intake.leave_out(campaign, run, [LEFT_OUT])
    await ledgers.intake.complete(campaign, run, invalid=1, duplicate=0, appended="other")


async def killed(call: Awaitable[None], turns: int) -> None:
    """A producer that is killed after so many turns of the loop."""
    task = asyncio.ensure_future(call)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("turns", [*range(0, 240, 48), *thorough(*(turns for turns in range(0, 240, 6) if turns % 48))])
async def test_a_producer_that_is_killed_at_any_step_is_gone_on_from(ledgers: Ledgers, turns: int) -> None:
    await killed(produce(ledgers, "k", "one"), turns)
    await produce(ledgers, "k", "two")
    found = await ledgers.campaigns.by_key("k")
    assert found is not None
    campaign = found.campaign
    await reconciler(ledgers).revive()
    await work_off(ledgers, campaign)
    await killed(append(ledgers, "k", "three"), turns)
    await append(ledgers, "k", "four")
    await work_off(ledgers, campaign)
    await reconciler(ledgers).revive()
    status = await sound(ledgers, campaign)
    assert (status.state, status.totals.sent, status.totals.invalid) == (CampaignState.FINISHED, 12, 2)
    assert sorted(one.row for one in await records(ledgers, campaign)) == [*range(1, 7), *range(11, 17)]
    assert len([row async for row in ledgers.reading.left_out(campaign)]) == 2
    assert await files_of(ledgers, campaign) == set()


async def insist(act: Callable[[Ledgers, str, str], Awaitable[None]], ledgers: Ledgers, key: str, run: str) -> None:
    """Begin again when another producer has brought the campaign to its end."""
    while True:
        try:
            await act(ledgers, key, run)
        except CampaignGoneError:
            continue
        return


@pytest.mark.parametrize("key", ["a", *thorough("b", "c", "d")])
async def test_three_producers_and_a_worker_at_once_make_one_campaign(ledgers: Ledgers, key: str) -> None:
    await asyncio.gather(*(insist(produce, ledgers, key, f"own {number}") for number in range(3)))
    found = await ledgers.campaigns.by_key(key)
    assert found is not None
    campaign = found.campaign
    await asyncio.gather(
        *(insist(append, ledgers, key, f"more {number}") for number in range(3)), work_off(ledgers, campaign)
    )
    await work_off(ledgers, campaign)
    await reconciler(ledgers).revive()
    status = await sound(ledgers, campaign)
    assert (status.state, status.totals.sent, status.totals.invalid) == (CampaignState.FINISHED, 12, 2)
    assert await files_of(ledgers, campaign) == set()
