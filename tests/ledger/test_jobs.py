"""Jobs: arq reads what we hand in, and nothing that somebody plants in Redis is ever unpickled."""

import os
import pickle
from typing import Any

import pytest
from arq.connections import create_pool
from arq.constants import job_key_prefix
from arq.jobs import Job, JobStatus
from arq.worker import Worker

from mailer.backends.redis.jobs import deserialize, redis_settings, serialize, worker_settings
from mailer.backends.redis.ledgers import Ledgers
from tests.ledger.campaigns import drafts, running


async def work_off(ledgers: Ledgers) -> list[tuple[str, int]]:
    """Let arq's own worker run every job that waits. Returns what it was told."""
    told: list[tuple[str, int]] = []

    async def work(ctx: dict[str, Any], campaign_id: str, chunk: int) -> None:
        told.append((campaign_id, chunk))

    settings = worker_settings(ledgers.url, ledgers.keys.queue, work, chunks_at_once=4, wait_s=5)
    worker = Worker(**settings, burst=True, handle_signals=False)
    try:
        await worker.async_run()
    finally:
        await worker.pool.aclose(close_connection_pool=True)
    return sorted(told)


async def test_arq_reads_our_jobs_as_its_own(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]), drafts([2]))
    pool = await create_pool(redis_settings(ledgers.url), job_serializer=serialize, job_deserializer=deserialize)
    try:
        job = Job(ledgers.keys.job(campaign.id, 1, 0), pool, ledgers.keys.queue, deserialize)
        assert await job.status() is JobStatus.queued
        info = await job.info()
        assert info is not None
        assert (info.function, list(info.args), info.kwargs) == ("chunk", [campaign.id, 1], {})
        ours = await ledgers.redis.get(job_key_prefix + job.job_id)
        theirs = await pool.enqueue_job(
            "chunk", campaign.id, 1, _job_id=f"{ledgers.keys.prefix}:x", _queue_name=ledgers.keys.queue
        )
        assert theirs is not None
        by_arq = await ledgers.redis.get(job_key_prefix + theirs.job_id)
        assert deserialize(ours or b"") | {"et": 0} == deserialize(by_arq or b"") | {"et": 0}
    finally:
        await pool.aclose(close_connection_pool=True)


async def test_arq_runs_our_jobs_and_leaves_nothing_of_them(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]), drafts([2]), drafts([3]))
    assert await work_off(ledgers) == [(campaign.id, 0), (campaign.id, 1), (campaign.id, 2)]
    assert await ledgers.jobs.waiting() == 0
    left: list[bytes] = await ledgers.redis.eval(
        "return redis.call('KEYS', ARGV[1])", 0, f"arq:*:{ledgers.keys.prefix}:*"
    )
    assert left == []


async def test_a_job_that_waits_is_left_as_it_is(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    before = await ledgers.redis.zrange(ledgers.keys.queue, 0, -1, withscores=True)
    await ledgers.jobs.enqueue([(campaign.id, 0, 0)])
    await ledgers.jobs.enqueue([])
    assert await ledgers.redis.zrange(ledgers.keys.queue, 0, -1, withscores=True) == before


async def test_many_jobs_are_handed_in_and_none_is_forgotten(ledgers: Ledgers) -> None:
    wanted = [("news-1", chunk, 0) for chunk in range(1_203)]
    await ledgers.jobs.enqueue(wanted)
    assert await ledgers.jobs.waiting() == 1_203
    assert await ledgers.jobs.missing([*wanted, ("news-1", 9_999, 0)]) == [("news-1", 9_999, 0)]


async def test_a_planted_pickle_is_never_read(
    ledgers: Ledgers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    campaign = await running(ledgers, drafts([1]), drafts([2]))

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.abort, ())

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something was unpickled")

    planted = pickle.dumps(Evil())
    monkeypatch.setattr(pickle, "loads", refuse)
    monkeypatch.setattr(pickle, "dumps", refuse)
    await ledgers.redis.set(job_key_prefix + ledgers.keys.job(campaign.id, 0, 0), planted)
    assert await work_off(ledgers) == [(campaign.id, 1)]
    assert await ledgers.jobs.waiting() == 0
    assert "something was unpickled" not in caplog.text


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://ann:pass@h.test:7000/3", {"host": "h.test", "port": 7000, "database": 3, "password": "pass"}),
        ("rediss://h.test", {"host": "h.test", "port": 6379, "ssl": True, "ssl_check_hostname": True}),
        ("unix:///run/q.sock?db=2", {"unix_socket_path": "/run/q.sock", "database": 2, "ssl": False}),
    ],
)
def test_arq_is_told_the_same_server(url: str, expected: dict[str, object]) -> None:
    settings = redis_settings(url)
    assert {name: getattr(settings, name) for name in expected} == expected
