"""Turns: a higher priority goes first, equal campaigns share the workers, and no job waits for a clock."""

import asyncio
import time
from itertools import pairwise
from typing import Any

import pytest
from arq.constants import in_progress_key_prefix, job_key_prefix
from arq.worker import Worker

from mailer.backends.redis.jobs import scores_of, worker_settings
from mailer.backends.redis.ledgers import Ledgers
from mailer.vocabulary.settings import DeliverySettings
from tests.ledger.campaigns import drafts, proposal, running


async def enqueue(ledgers: Ledgers, name: str, *chunks: int) -> None:
    await ledgers.jobs.enqueue([(name, chunk, 0) for chunk in chunks])


async def named(ledgers: Ledgers, name: str, priority: int = 0) -> str:
    """The id of a campaign with this priority."""
    return (await ledgers.intake.open(proposal(name=name, delivery=DeliverySettings(priority=priority)))).id


async def waiting(ledgers: Ledgers) -> list[tuple[str, int]]:
    """Campaign and chunk of what waits, in the order arq takes it."""
    jobs = [job.decode().split(":") for job in await ledgers.redis.zrange(ledgers.keys.queue, 0, -1)]
    return [(parts[-3], int(parts[-2])) for parts in jobs]


async def done(ledgers: Ledgers, count: int) -> list[str]:
    """As if workers had done the next jobs; whose they were."""
    jobs = [job.decode() for job in await ledgers.redis.zrange(ledgers.keys.queue, 0, count - 1)]
    await ledgers.redis.zrem(ledgers.keys.queue, *jobs)
    await ledgers.redis.unlink(*(job_key_prefix + job for job in jobs))
    return [job.split(":")[-3] for job in jobs]


async def test_a_higher_priority_goes_first_whenever_it_comes(ledgers: Ledgers) -> None:
    low, middle, high = [await named(ledgers, *about) for about in (("low", -3), ("middle", 0), ("high", 7))]
    await enqueue(ledgers, low, 0, 1)
    await enqueue(ledgers, middle, 0, 1)
    await enqueue(ledgers, high, 0, 1)
    assert [campaign for campaign, _ in await waiting(ledgers)] == [high, high, middle, middle, low, low]


async def test_a_small_campaign_is_not_stuck_behind_a_big_one(ledgers: Ledgers) -> None:
    await enqueue(ledgers, "big-1", *range(1_200))
    await done(ledgers, 100)
    await enqueue(ledgers, "small-1", *range(5))
    assert (await done(ledgers, 12)).count("small-1") == 5


async def test_equal_campaigns_share_whatever_each_has_waiting(ledgers: Ledgers) -> None:
    """In every stretch of the queue each of those that wait has as many jobs as the others."""
    for name, count in (("a-1", 400), ("b-1", 300), ("c-1", 200)):
        await enqueue(ledgers, name, *range(count))
    counts: dict[str, int] = {"a-1": 0, "b-1": 0, "c-1": 0}
    for _ in range(19):
        for name in await done(ledgers, 30):
            counts[name] += 1
        assert max(counts.values()) - min(counts.values()) <= 4


async def test_a_campaign_comes_back_without_paying_for_what_it_had(ledgers: Ledgers) -> None:
    """Nor is it stuck behind one that came while it had nothing waiting."""
    await enqueue(ledgers, "old-1", *range(100))
    await enqueue(ledgers, "other-1", *range(100))
    await done(ledgers, 180)
    await enqueue(ledgers, "new-1", *range(50))
    await enqueue(ledgers, "old-1", *range(100, 110))
    assert (await done(ledgers, 50)).count("old-1") >= 15


async def test_a_priority_whose_jobs_are_all_done_begins_where_it_was(ledgers: Ledgers) -> None:
    """Another priority keeps the queue from being empty meanwhile."""
    low = await named(ledgers, "low", -1)
    await enqueue(ledgers, low, 0)
    await enqueue(ledgers, "old-1", *range(100))
    await done(ledgers, 100)
    await enqueue(ledgers, "new-1", *range(100))
    await enqueue(ledgers, "old-1", *range(100, 110))
    assert (await done(ledgers, 22)).count("old-1") == 10


async def test_a_job_that_runs_for_long_does_not_hold_back_the_time(ledgers: Ledgers) -> None:
    """Jobs that run stay in the queue; who comes later would else go before all the others."""
    await enqueue(ledgers, "a-1", *range(200))
    job = ledgers.keys.job("a-1", 0, 0)
    await ledgers.redis.set(in_progress_key_prefix + job, "1")
    later = [one.decode() for one in await ledgers.redis.zrange(ledgers.keys.queue, 1, 100)]
    await ledgers.redis.zrem(ledgers.keys.queue, *later)
    await enqueue(ledgers, "b-1", *range(100))
    assert 45 <= (await done(ledgers, 101)).count("b-1") <= 55


async def test_a_job_that_waits_keeps_its_place(ledgers: Ledgers) -> None:
    await enqueue(ledgers, "a-1", 0, 1, 2)
    before = await ledgers.redis.zrange(ledgers.keys.queue, 0, -1, withscores=True)
    await enqueue(ledgers, "b-1", 0)
    await enqueue(ledgers, "a-1", 2, 0, 1)
    after = dict(await ledgers.redis.zrange(ledgers.keys.queue, 0, -1, withscores=True))
    assert {job: after[job] for job, _ in before} == dict(before)


async def test_many_producers_at_once_lose_no_job(ledgers: Ledgers) -> None:
    await asyncio.gather(*(enqueue(ledgers, f"c-{number}", *range(50)) for number in range(8)))
    assert len(set(await waiting(ledgers))) == 400


@pytest.mark.parametrize("priority", [-10_000, -1000, -1, 0, 1, 1000, 10_000])
async def test_no_score_is_ever_in_arqs_future_or_nought(ledgers: Ledgers, priority: int) -> None:
    campaign = await named(ledgers, "news", priority)
    await enqueue(ledgers, campaign, *range(600))
    scores = [score for _, score in await ledgers.redis.zrange(ledgers.keys.queue, 0, -1, withscores=True)]
    lowest, highest = scores_of(priority)
    assert all(lowest <= score <= highest < 0 for score in scores)
    assert scores == sorted({int(score) for score in scores})
    assert abs(lowest) < 2**53
    assert highest < time.time() * 1000


def test_priorities_never_meet() -> None:
    ranges = [scores_of(priority) for priority in range(1000, -1001, -1)]
    assert all(higher[1] < lower[0] for higher, lower in pairwise(ranges))


async def test_arqs_own_worker_takes_the_jobs_in_this_order(ledgers: Ledgers) -> None:
    big = await running(ledgers, *([draft] for draft in drafts(range(30))), name="big")
    small = await running(ledgers, *([draft] for draft in drafts(range(3))), name="small")
    urgent = await running(ledgers, drafts([1]), name="urgent", delivery=DeliverySettings(priority=1))
    told: list[str] = []

    async def work(ctx: dict[str, Any], campaign_id: str, chunk: int) -> None:
        told.append(campaign_id)

    settings = worker_settings(ledgers.url, ledgers.keys.queue, work, chunks_at_once=1, wait_s=5)
    worker = Worker(**settings | {"poll_delay": 0.001}, burst=True, handle_signals=False)
    try:
        await worker.async_run()
    finally:
        await worker.pool.aclose(close_connection_pool=True)
    assert told[0] == urgent.id
    assert told[1:9].count(small.id) == 3
    assert told.count(big.id) == 30
    assert await ledgers.jobs.waiting() == 0
