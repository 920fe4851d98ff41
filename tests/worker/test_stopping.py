"""`mailer worker` told to end: it finishes what is on the wire, others have the rest, the exit code is right."""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mailer.backends.redis.ledgers import Ledgers
from tests.ledger.campaigns import checked
from tests.servers import until
from tests.worker.relays import capture, submit, taken_twice
from tests.worker.test_supervised import has

LEASE_S = 60
"""So long that nothing here can come from a lease that is over."""


@asynccontextmanager
async def worker(home: Path, ledgers: Ledgers, *options: str) -> AsyncIterator[Process]:
    """`mailer worker`, ended with the block if it is not by then."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mailer", "worker", *options),
        cwd=home,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "MAILER_REDIS_URL": ledgers.url,
            "MAILER_QUEUE__PREFIX": ledgers.keys.prefix,
            "MAILER_QUEUE__LEASE": f"{LEASE_S}s",
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


async def code_of(process: Process, *, within: float = 15.0) -> int | None:
    """Its exit code."""
    async with asyncio.timeout(within):
        await process.communicate()
    return process.returncode


async def _sending(ledgers: Ledgers, campaign_id: str) -> bool:
    return (await ledgers.reading.status(campaign_id)).totals.sending == 2


@pytest.mark.thorough
async def test_what_a_worker_gives_back_is_sent_by_another_at_once(ledgers: Ledgers, tmp_path: Path) -> None:
    """SIGTERM: the two on the wire are sent by the one that ends, all others by the one that is started after it."""
    async with capture(tmp_path / "relay") as relay:
        people = [f"slow+300ms-{row}@x.test" for row in range(12)]
        campaign = await submit(ledgers, relay, people, connections=2, chunk=6)
        async with worker(tmp_path, ledgers) as first:
            await until(lambda: _sending(ledgers, campaign.id))
            first.send_signal(signal.SIGTERM)
            assert await code_of(first) == 5
        status = await checked(ledgers, campaign)
        assert (status.totals.sent, status.totals.queued) == (2, 10)
        begun_at = time.monotonic()
        async with worker(tmp_path, ledgers, "--burst") as second:
            assert await code_of(second, within=LEASE_S / 2) == 0
        assert time.monotonic() - begun_at < LEASE_S / 2
        status = await checked(ledgers, campaign)
        assert (status.totals.sent, status.totals.in_doubt) == (12, 0)
        assert relay.mailbox.accepted == 12
        assert not taken_twice(relay)


@pytest.mark.thorough
async def test_a_worker_whose_last_messages_are_on_the_wire_ends_with_0(ledgers: Ledgers, tmp_path: Path) -> None:
    """Nothing is left when it has finished them."""
    async with capture(tmp_path / "relay") as relay:
        campaign = await submit(ledgers, relay, ["slow+400ms-1@x.test", "slow+400ms-2@x.test"], connections=2)
        async with worker(tmp_path, ledgers) as process:
            await until(lambda: _sending(ledgers, campaign.id))
            process.send_signal(signal.SIGTERM)
            assert await code_of(process) == 0
        assert (await checked(ledgers, campaign)).totals.sent == 2


@pytest.mark.thorough
async def test_a_worker_whose_grace_is_over_books_in_doubt_and_ends_with_5(ledgers: Ledgers, tmp_path: Path) -> None:
    """It does not wait for a relay that does not answer, and says of nobody more than it knows."""
    async with capture(tmp_path / "relay") as relay:
        people = [f"slow+60s-{row}@x.test" for row in range(6)]
        campaign = await submit(ledgers, relay, people, connections=2)
        async with worker(tmp_path, ledgers, "--grace", "1s") as process:
            await until(lambda: _sending(ledgers, campaign.id))
            process.send_signal(signal.SIGTERM)
            assert await code_of(process) == 5
        status = await checked(ledgers, campaign)
        assert (status.totals.in_doubt, status.totals.queued) == (2, 4)
        assert await ledgers.fleet.known() == []


@pytest.mark.thorough
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_books_in_doubt_and_ends_with_130_at_once(
    ledgers: Ledgers, tmp_path: Path, number: int
) -> None:
    """Both are on record before the exit: who was in a body is in doubt, the others are queued."""
    async with capture(tmp_path / "relay") as relay:
        people = [f"slow+60s-{row}@x.test" for row in range(6)]
        campaign = await submit(ledgers, relay, people, connections=2)
        async with worker(tmp_path, ledgers) as process:
            await until(lambda: _sending(ledgers, campaign.id))
            process.send_signal(number)
            await asyncio.sleep(0.2)
            assert process.returncode is None
            process.send_signal(number)
            assert await code_of(process, within=10.0) == 130
        status = await checked(ledgers, campaign)
        assert (status.totals.in_doubt, status.totals.queued) == (2, 4)
        assert await ledgers.fleet.known() == []


@pytest.mark.thorough
@pytest.mark.parametrize(("number", "expected"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
async def test_an_idle_worker_ends_at_once(ledgers: Ledgers, tmp_path: Path, number: int, expected: int) -> None:
    """It waits for nothing, least of all for its grace."""
    async with worker(tmp_path, ledgers) as process:
        await until(lambda: has(ledgers, 1))
        process.send_signal(number)
        assert await code_of(process, within=10.0) == expected
    assert await ledgers.fleet.known() == []
