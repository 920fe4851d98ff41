"""The first and the last moments of worker processes: told to end too early, without a queue server, and tidy."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest
import structlog.testing

from mailer.backends.embedded import status
from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from mailer.config.orders import Orders, write_orders
from mailer.vocabulary.errors import QueueError
from mailer.worker.process import WorkerProcess
from mailer.worker.supervisor import Supervisor
from tests.ledger.campaigns import checked
from tests.servers import OwnServer, until
from tests.worker.relays import capture, orders, submit
from tests.worker.test_supervised import has, supervised, workers

NOBODY = "redis://ann:hunter2@127.0.0.1:1/0"
"""Where no server listens."""


async def start(told: Orders, *options: str) -> Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, *options, "-m", "mailer.worker", stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    assert process.stdin is not None
    process.stdin.write(write_orders(told))
    return process


def catches_sigterm(pid: int) -> bool:
    """True once the process has a handler of its own."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = next(line for line in lines if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.thorough
async def test_a_worker_without_its_queue_server_says_so_in_one_line_and_ends_with_4() -> None:
    process = await start(Orders(queue_url=NOBODY))
    async with asyncio.timeout(20):
        words, complaints = await process.communicate()
    assert process.returncode == 4
    (line,) = words.splitlines()
    error = json.loads(line)["error"]
    assert (error["code"], error["message"]) == ("E501", "no Redis at redis://***@127.0.0.1:1/0")
    assert not complaints
    assert b"hunter2" not in words


@pytest.mark.thorough
async def test_workers_without_their_queue_server_are_not_started_again_and_again() -> None:
    with pytest.raises(QueueError) as raised:
        await Supervisor(Orders(queue_url=NOBODY), 2).run()
    assert (raised.value.code, raised.value.exit_code, raised.value.retryable) == ("E501", 4, True)


@pytest.mark.thorough
async def test_a_worker_that_dies_while_the_queue_server_is_away_is_replaced_when_it_is_back(
    own_server: OwnServer,
) -> None:
    async with open_ledgers(own_server.url, prefix="t", lease_s=1) as ledgers:
        with structlog.testing.capture_logs() as logs:
            async with supervised(orders(ledgers), 1) as (_, running):
                await until(lambda: has(ledgers, 1))
                (victim,) = await workers(ledgers)
                own_server.kill()
                os.kill(victim, signal.SIGKILL)
                await until(lambda: any(line["event"] == "a worker cannot start" for line in logs), within=20)
                assert not running.done()
                await asyncio.to_thread(own_server.start)
                await until(lambda: _replaced(ledgers, victim), within=20)


async def _replaced(ledgers: Ledgers, victim: int) -> bool:
    return [pid for pid in await workers(ledgers) if pid != victim] != []


@pytest.mark.thorough
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells which signals a process catches")
async def test_a_worker_told_to_end_before_its_first_heartbeat_ends_as_it_should(own_server: OwnServer) -> None:
    found = status(own_server.folder)
    assert found is not None
    assert found.pid is not None
    async with open_ledgers(own_server.url, prefix="t", lease_s=1) as ledgers:
        os.kill(found.pid, signal.SIGSTOP)
        try:
            process = await start(orders(ledgers))
            await until(lambda: catches_sigterm(process.pid))
            process.send_signal(signal.SIGTERM)
        finally:
            os.kill(found.pid, signal.SIGCONT)
        async with asyncio.timeout(10):
            words, complaints = await process.communicate()
        assert (process.returncode, words, complaints) == (0, b'{"counts": {}}\n', b"")
        assert await ledgers.fleet.known() == []


async def test_a_worker_stopped_before_it_starts_begins_nothing(ledgers: Ledgers, tmp_path: Path) -> None:
    async with capture(tmp_path) as relay:
        campaign = await submit(ledgers, relay, ["a@x.test"])
        worker = WorkerProcess(orders(ledgers))
        worker.stop()
        async with worker, asyncio.timeout(5):
            await worker.run()
        assert worker.counts == {}
        assert (await checked(ledgers, campaign)).totals.queued == 1


async def test_a_worker_that_is_told_to_end_while_it_starts_has_not_died(ledgers: Ledgers) -> None:
    supervisor = Supervisor(orders(ledgers), 2)
    with structlog.testing.capture_logs() as logs:
        running = asyncio.create_task(supervisor.run())
        await asyncio.sleep(0)
        supervisor.stop()
        async with asyncio.timeout(10):
            await running
    assert logs == []


@pytest.mark.thorough
async def test_a_process_leaves_nothing_open_behind_it(ledgers: Ledgers) -> None:
    process = await start(orders(ledgers), "-X", "dev")
    await until(lambda: has(ledgers, 1))
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        _, complaints = await process.communicate()
    assert process.returncode == 0
    assert b"unclosed transport" not in complaints


async def test_whoever_heals_has_ended_with_the_process(ledgers: Ledgers) -> None:
    others = asyncio.all_tasks()
    async with WorkerProcess(orders(ledgers)) as worker:
        worker.heal()
        await asyncio.sleep(0)
        (healing,) = [task for task in asyncio.all_tasks() - others if "_reconcile" in str(task.get_coro())]
    assert healing.done()
    assert asyncio.all_tasks() == others
