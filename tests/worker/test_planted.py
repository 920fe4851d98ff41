"""What is no job, or no longer one: it is taken out of the queue and counted, and everybody is sent to all the same."""

from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from arq.constants import in_progress_key_prefix, job_key_prefix, retry_key_prefix
from redis import Redis

from mailer.backends.redis.ledgers import Ledgers
from tests.ledger.campaigns import checked
from tests.redis_faults.workers import Logs, at_work, finished, logged
from tests.servers import until
from tests.thorough import first
from tests.worker.relays import capture, submit, taken_twice

Plant = Callable[[Any, Ledgers, str], None]
"""Plants something: takes a client, the ledger, and arq's id of the job of the first chunk."""


def _job(**changes: Any) -> bytes:
    return msgspec.msgpack.encode({"t": None, "f": "chunk", "a": ["x", 0], "k": {}, "et": 1} | changes)


def members_that_are_no_text(redis: Any, ledgers: Ledgers, job: str) -> None:
    score = redis.zscore(ledgers.keys.queue, job)
    redis.zadd(ledgers.keys.queue, {b"\xff" * 3: score - 1, b"\xfe" * 70: score - 2, b"\xc3": score + 0.5})


def a_member_without_a_job(redis: Any, ledgers: Ledgers, job: str) -> None:
    redis.zadd(ledgers.keys.queue, {"nobody's": redis.zscore(ledgers.keys.queue, job) - 1})


def a_queue_that_is_none(redis: Any, ledgers: Ledgers, job: str) -> None:
    redis.set(ledgers.keys.queue, "garbage")


def a_job_that_is_a_list(redis: Any, ledgers: Ledgers, job: str) -> None:
    redis.delete(job_key_prefix + job)
    redis.lpush(job_key_prefix + job, "garbage")


def tries_that_are_no_number(redis: Any, ledgers: Ledgers, job: str) -> None:
    redis.set(retry_key_prefix + job, "garbage")


def tries_that_are_a_list(redis: Any, ledgers: Ledgers, job: str) -> None:
    redis.lpush(retry_key_prefix + job, "garbage")


def a_lock_that_never_ends(redis: Any, ledgers: Ledgers, job: str) -> None:
    redis.set(in_progress_key_prefix + job, "garbage")


def a_job_that_cannot_be_read(redis: Any, ledgers: Ledgers, job: str) -> None:
    redis.set(job_key_prefix + job, b"\x80\x04\x95pickle.")


def a_function_that_cannot_be_one(redis: Any, ledgers: Ledgers, job: str) -> None:
    redis.set(job_key_prefix + job, _job(f=["chunk"]))


def a_function_that_is_not_ours(redis: Any, ledgers: Ledgers, job: str) -> None:
    redis.set(job_key_prefix + job, _job(f="rm"))


def arguments_of_another_shape(redis: Any, ledgers: Ledgers, job: str) -> None:
    redis.set(job_key_prefix + job, _job(a=[[1], {"x": 2}, 3]))


def a_campaign_that_is_not_there(redis: Any, ledgers: Ledgers, job: str) -> None:
    redis.set(job_key_prefix + job, _job())


def a_time_that_is_none(redis: Any, ledgers: Ledgers, job: str) -> None:
    redis.set(job_key_prefix + job, _job(et="yesterday"))


def a_job_that_has_expired(redis: Any, ledgers: Ledgers, job: str) -> None:
    redis.delete(job_key_prefix + job)


def a_job_that_is_lost(redis: Any, ledgers: Ledgers, job: str) -> None:
    redis.delete(job_key_prefix + job)
    redis.zrem(ledgers.keys.queue, job)


def a_job_that_is_not_in_the_queue(redis: Any, ledgers: Ledgers, job: str) -> None:
    redis.zrem(ledgers.keys.queue, job)


def a_queue_that_is_lost(redis: Any, ledgers: Ledgers, job: str) -> None:
    redis.delete(ledgers.keys.queue)


def a_job_that_waits_for_ever(redis: Any, ledgers: Ledgers, job: str) -> None:
    redis.zadd(ledgers.keys.queue, {job: 9e15})


def a_job_of_a_worker_that_died(redis: Any, ledgers: Ledgers, job: str) -> None:
    redis.set(in_progress_key_prefix + job, "1", ex=900)


def a_job_that_is_there_twice(redis: Any, ledgers: Ledgers, job: str) -> None:
    campaign_id, chunk = job.split(":")[-3:-1]
    twin = ledgers.keys.job(campaign_id, int(chunk), 7)
    redis.set(job_key_prefix + twin, redis.get(job_key_prefix + job))
    redis.zadd(ledgers.keys.queue, {twin: redis.zscore(ledgers.keys.queue, job) - 1})


NO_JOBS = (
    members_that_are_no_text,
    a_queue_that_is_none,
    a_job_that_is_a_list,
    tries_that_are_no_number,
    tries_that_are_a_list,
    a_function_that_cannot_be_one,
)
"""What arq would end at."""
HARMLESS = (
    a_member_without_a_job,
    a_lock_that_never_ends,
    a_job_that_cannot_be_read,
    a_function_that_is_not_ours,
    arguments_of_another_shape,
    a_campaign_that_is_not_there,
    a_time_that_is_none,
    a_job_that_has_expired,
    a_job_that_is_lost,
    a_job_that_is_not_in_the_queue,
    a_queue_that_is_lost,
    a_job_that_waits_for_ever,
    a_job_of_a_worker_that_died,
    a_job_that_is_there_twice,
)
"""What arq passes over, or drops."""


@asynccontextmanager
async def planted(ledgers: Ledgers, folder: Path, plant: Plant) -> Any:
    """A campaign of three chunks is sent although something was planted. Gives what was logged."""
    async with capture(folder) as relay:
        campaign = await submit(ledgers, relay, [f"p{row}@x.test" for row in range(6)], chunk=2)
        with Redis.from_url(ledgers.url) as redis:
            plant(redis, ledgers, ledgers.keys.job(campaign.id, 0, 0))
        async with logged() as logs, at_work(ledgers, lease_s=0.4):
            await until(lambda: finished(ledgers, campaign.id), within=20)
            yield logs
        status = await checked(ledgers, campaign)
        assert (status.totals.sent, relay.mailbox.accepted) == (6, 6)
        assert not taken_twice(relay)


def counted(logs: Logs) -> int:
    """How much was taken out of the queue."""
    return sum(line["now"] for line in logs if line["event"] == "what is no job was taken out of the queue")


def deaths(logs: Logs) -> list[str]:
    """What ended arq's reader."""
    ends = ("the queue cannot be read", "the queue server is away")
    return [line["event"] for line in logs if line["event"] in ends]


@pytest.mark.parametrize("plant", first(1, NO_JOBS))
async def test_what_arq_would_end_at_is_taken_out_and_counted_and_the_reader_lives(
    ledgers: Ledgers, tmp_path: Path, plant: Plant
) -> None:
    """Whatever somebody plants in Redis, what stands behind it is worked on."""
    async with planted(ledgers, tmp_path, plant) as logs:
        expected = 3 if plant is members_that_are_no_text else 1
        await until(lambda: counted(logs) == expected)
        assert deaths(logs) == []
        left: list[bytes] = await ledgers.redis.zrange(ledgers.keys.queue, 0, -1)
        assert not [member for member in left if b"\xff" in member or b"\xfe" in member or member == b"\xc3"]


@pytest.mark.parametrize("plant", first(2, HARMLESS))
async def test_a_job_that_is_lost_doubled_expired_or_cannot_be_run_is_healed(
    ledgers: Ledgers, tmp_path: Path, plant: Plant
) -> None:
    """A job only says where to look: it may be lost, doubled or expired, and everybody is sent to once."""
    async with planted(ledgers, tmp_path, plant) as logs:
        assert deaths(logs) == []


async def test_a_backlog_that_arq_has_forgotten_is_sent(ledgers: Ledgers, tmp_path: Path) -> None:
    """Jobs of a campaign that waited for longer than arq keeps them are made anew, every one of them."""

    def forget(redis: Any, ledgers: Ledgers, job: str) -> None:
        for member in redis.zrange(ledgers.keys.queue, 0, -1):
            assert redis.ttl(job_key_prefix + member.decode()) > 29 * 86400
            redis.delete(job_key_prefix + member.decode())

    async with planted(ledgers, tmp_path, forget) as logs:
        assert deaths(logs) == []
