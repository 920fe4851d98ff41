"""arq's own command: it says why it ends, with our exit codes, and finishes what is on the wire before it does."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from tests.ledger.campaigns import checked
from tests.servers import OwnServer, until
from tests.thorough import first
from tests.worker.relays import capture, submit
from tests.worker.test_supervised import ROOT, has


@asynccontextmanager
async def arq(home: Path, url: str, prefix: str, *options: str, **environ: str) -> AsyncIterator[Process]:
    """`arq worker.WorkerSettings`, ended with the block if it is not by then."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("arq")),
        "worker.WorkerSettings",
        *options,
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "MAILER_REDIS_URL": url,
            "MAILER_QUEUE__PREFIX": prefix,
            "MAILER_QUEUE__LEASE": "2s",
            **environ,
        },
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def end_of(process: Process) -> tuple[int | None, str]:
    """Its exit code and what it said."""
    async with asyncio.timeout(20):
        _, words = await process.communicate()
    return process.returncode, words.decode()


async def _is_known(ledgers: Ledgers) -> bool:
    """True when a worker has begun, and knows the ledger by its identity."""
    return bool(await ledgers.fleet.alive())


async def _sending(ledgers: Ledgers, campaign_id: str) -> bool:
    return (await ledgers.reading.status(campaign_id)).totals.sending == 2


@pytest.mark.thorough
async def test_a_worker_that_may_not_start_says_why_and_ends_with_2(own_server: OwnServer, tmp_path: Path) -> None:
    """A ledger of another layout: no traceback, and nothing is read."""
    async with open_ledgers(own_server.url, prefix="t", lease_s=1) as ledgers:
        await ledgers.redis.set(ledgers.keys.schema, "99")
        async with arq(tmp_path, own_server.url, "t") as process:
            code, words = await end_of(process)
    assert code == 2
    assert "error[E505]" in words
    assert "mailer explain E505" in words
    assert "Traceback" not in words


@pytest.mark.thorough
async def test_a_worker_that_is_configured_wrongly_says_so_and_ends_with_2(tmp_path: Path) -> None:
    """Before arq has its settings."""
    async with arq(tmp_path, "redis://q.example:6379", "t") as process:
        code, words = await end_of(process)
    assert code == 2
    assert "error[E" in words
    assert "Traceback" not in words


@pytest.mark.thorough
async def test_a_worker_whose_ledger_is_emptied_says_so_and_ends_with_2(own_server: OwnServer, tmp_path: Path) -> None:
    """It takes no void for an empty ledger, and does not wait in silence."""
    async with open_ledgers(own_server.url, prefix="t", lease_s=2) as ledgers:
        async with arq(tmp_path, own_server.url, "t") as process:
            await until(lambda: _is_known(ledgers))
            await ledgers.redis.eval("return redis.call('FLUSHALL')", 0)
            code, words = await end_of(process)
        left: list[bytes] = await ledgers.redis.eval("return redis.call('KEYS', 't:*')", 0)
    assert code == 2
    assert "error[E514]: the ledger is gone" in words
    assert "Traceback" not in words
    assert left == []


@pytest.mark.thorough
async def test_garbage_in_the_queue_does_not_end_it(ledgers: Ledgers, tmp_path: Path) -> None:
    """What stands behind it is sent, and it is said that something was taken out."""
    async with capture(tmp_path) as relay:
        campaign = await submit(ledgers, relay, ["a@x.test"])
        ((_, score),) = await ledgers.redis.zrange(ledgers.keys.queue, 0, -1, withscores=True)
        await ledgers.redis.eval("redis.call('ZADD', KEYS[1], ARGV[1], '\\255')", 1, ledgers.keys.queue, score - 1)
        async with arq(tmp_path, ledgers.url, ledgers.keys.prefix, "--burst") as process:
            code, words = await end_of(process)
        assert (await checked(ledgers, campaign)).totals.sent == 1
    assert code == 0, words
    assert "what is no job was taken out of the queue" in words


@pytest.mark.thorough
async def test_told_to_end_it_finishes_what_is_on_the_wire_and_gives_the_rest_back(
    ledgers: Ledgers, tmp_path: Path
) -> None:
    """At once, and not after the lease; 5 says that work is left."""
    async with capture(tmp_path) as relay:
        people = [f"slow+400ms-{row}@x.test" for row in range(20)]
        campaign = await submit(ledgers, relay, people, connections=2, chunk=10)
        async with arq(tmp_path, ledgers.url, ledgers.keys.prefix, MAILER_SMTP__MAX_CONNECTIONS="2") as process:
            await until(lambda: _sending(ledgers, campaign.id))
            process.send_signal(signal.SIGTERM)
            code, words = await end_of(process)
        status = await checked(ledgers, campaign)
        assert (status.totals.sent, status.totals.queued) == (2, 18)
        assert relay.mailbox.accepted == 2
    assert code == 5, words
    assert "Traceback" not in words
    assert await ledgers.fleet.known() == []


@pytest.mark.parametrize(("number", "expected"), first(1, [(signal.SIGTERM, 0), (signal.SIGINT, 130)]))
async def test_told_to_end_with_nothing_to_do_it_ends_at_once(
    ledgers: Ledgers, tmp_path: Path, number: int, expected: int
) -> None:
    """The exit codes are those of `mailer worker`."""
    async with arq(tmp_path, ledgers.url, ledgers.keys.prefix) as process:
        await until(lambda: has(ledgers, 1))
        process.send_signal(number)
        code, words = await end_of(process)
    assert code == expected, words
    assert await ledgers.fleet.known() == []


@pytest.mark.thorough
async def test_told_twice_it_ends_now_and_what_was_in_a_body_is_in_doubt(ledgers: Ledgers, tmp_path: Path) -> None:
    """On record before it ends."""
    async with capture(tmp_path) as relay:
        campaign = await submit(ledgers, relay, [f"slow+60s-{row}@x.test" for row in range(6)], connections=2)
        async with arq(tmp_path, ledgers.url, ledgers.keys.prefix) as process:
            await until(lambda: _sending(ledgers, campaign.id))
            process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.1)
            assert process.returncode is None
            process.send_signal(signal.SIGTERM)
            code, words = await end_of(process)
        status = await checked(ledgers, campaign)
        assert (status.totals.in_doubt, status.totals.queued) == (2, 4)
    assert code == 130, words
