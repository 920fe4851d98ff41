"""Worker processes as they are started: killed, told to end, orphaned, and under arq's own command."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from mailer.config.orders import Orders, write_orders
from mailer.vocabulary.campaign import CampaignState
from mailer.vocabulary.errors import QueueError, UsageError
from mailer.worker.supervisor import Supervisor, answer_of
from tests.ledger.campaigns import checked, records
from tests.servers import OwnServer, until
from tests.thorough import thorough
from tests.worker.relays import capture, orders, submit, taken_twice

ROOT = Path(__file__).parents[2]


async def finished(ledgers: Ledgers, campaign_id: str) -> bool:
    return (await ledgers.reading.status(campaign_id)).state is CampaignState.FINISHED


async def workers(ledgers: Ledgers) -> list[int]:
    """Process ids of the workers that are alive."""
    return [worker.pid for worker in await ledgers.fleet.alive()]


async def has(ledgers: Ledgers, count: int) -> bool:
    return len(await workers(ledgers)) == count


@asynccontextmanager
async def supervised(told: Orders, processes: int) -> AsyncIterator[tuple[Supervisor, "asyncio.Task[None]"]]:
    """A supervisor that runs until the end of the block."""
    supervisor = Supervisor(told, processes)
    running = asyncio.create_task(supervisor.run())
    try:
        yield supervisor, running
    finally:
        supervisor.stop()
        await running


@asynccontextmanager
async def child(told: Orders) -> AsyncIterator[Process]:
    """One worker process without a supervisor: this test holds its standard input."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mailer.worker", stdin=PIPE, stdout=PIPE, stderr=DEVNULL
    )
    assert process.stdin is not None
    process.stdin.write(write_orders(told))
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (b"", {}),
        (b'{"counts": {"sent": 1}}\n', {"counts": {"sent": 1}}),
        (b'somebody printed this\n{"counts": {"sent": 1}}\n', {"counts": {"sent": 1}}),
        (b"somebody printed this\n", {}),
        (b"[1]\n", {}),
    ],
)
def test_what_somebody_prints_in_a_worker_process_is_not_taken_for_its_answer(
    words: bytes, answer: dict[str, object]
) -> None:
    assert answer_of(words) == answer


@pytest.mark.thorough
async def test_a_killed_worker_is_replaced_and_nobody_has_a_message_twice(ledgers: Ledgers, tmp_path: Path) -> None:
    connections = 3
    async with capture(tmp_path) as relay, open_ledgers(ledgers.url, prefix=ledgers.keys.prefix, lease_s=1) as strict:
        people = [f"slow+10ms-{row}@x.test" for row in range(240)]
        campaign = await submit(ledgers, relay, people, connections=connections)
        async with supervised(orders(ledgers), 2) as (supervisor, running):
            await until(lambda: has(strict, 2))
            await until(lambda: relay.mailbox.accepted >= 40)
            victim = (await workers(strict))[0]
            os.kill(victim, signal.SIGKILL)
            await until(lambda: _replaced(strict, victim))
            await until(lambda: finished(ledgers, campaign.id), within=20)
            assert not running.done()
        status = await checked(ledgers, campaign)
    assert status.totals.in_doubt <= connections
    assert status.totals.sent + status.totals.in_doubt == 240
    assert not taken_twice(relay)
    assert len(relay.mailbox.accepted_for) >= status.totals.sent
    # What the dead one had counted died with it.
    assert 0 < supervisor.counts["sent"] <= status.totals.sent


async def _replaced(ledgers: Ledgers, victim: int) -> bool:
    living = await workers(ledgers)
    return len(living) == 2 and victim not in living


async def test_a_burst_ends_with_the_work_and_tells_what_was_done(ledgers: Ledgers, tmp_path: Path) -> None:
    async with capture(tmp_path) as relay:
        campaign = await submit(ledgers, relay, ["a@x.test", "bounce+550@x.test", "defer+450@x.test"])
        supervisor = Supervisor(orders(ledgers, burst=True))
        await supervisor.run()
        status = await checked(ledgers, campaign)
    assert supervisor.counts == {"sent": 1, "refused": 1, "deferred": 1}
    assert (status.totals.sent, status.totals.refused, status.totals.deferred) == (1, 1, 1)


@pytest.mark.thorough
@pytest.mark.parametrize("told_by", ["SIGTERM", *thorough("the end of its supervisor")])
async def test_a_process_that_is_told_to_end_finishes_what_is_on_the_wire_and_gives_the_rest_back(
    ledgers: Ledgers, tmp_path: Path, told_by: str
) -> None:
    async with capture(tmp_path) as relay:
        people = [f"slow+400ms-{row}@x.test" for row in range(20)]
        campaign = await submit(ledgers, relay, people, connections=2)
        async with child(orders(ledgers)) as process:
            await until(lambda: _sending(ledgers, campaign.id))
            if told_by == "SIGTERM":
                process.send_signal(signal.SIGTERM)
            else:
                assert process.stdin is not None
                process.stdin.close()
            async with asyncio.timeout(5):
                assert await process.wait() == 0
            assert process.stdout is not None
            assert await process.stdout.read() == b'{"counts": {"sent": 2}}\n'
        status = await checked(ledgers, campaign)
        assert (status.totals.sent, status.totals.queued) == (2, 18)
    assert await ledgers.fleet.known() == []


async def _sending(ledgers: Ledgers, campaign_id: str) -> bool:
    return (await ledgers.reading.status(campaign_id)).totals.sending == 2


@pytest.mark.thorough
async def test_a_second_signal_ends_it_at_once_and_what_was_in_a_body_is_in_doubt(
    ledgers: Ledgers, tmp_path: Path
) -> None:
    async with capture(tmp_path) as relay:
        campaign = await submit(ledgers, relay, [f"slow+60s-{row}@x.test" for row in range(6)], connections=2)
        async with supervised(orders(ledgers), 1) as (supervisor, running):
            await until(lambda: _sending(ledgers, campaign.id))
            supervisor.stop()
            await asyncio.sleep(0.1)
            assert not running.done()
            supervisor.stop()
            async with asyncio.timeout(5):
                await running
        status = await checked(ledgers, campaign)
    assert (status.totals.in_doubt, status.totals.queued) == (2, 4)
    assert supervisor.counts == {"in_doubt": 2}


@pytest.mark.thorough
async def test_the_queue_server_is_killed_under_two_processes_and_nobody_has_a_message_twice(
    own_server: OwnServer, tmp_path: Path
) -> None:
    async with (
        open_ledgers(own_server.url, prefix="t", lease_s=1) as ledgers,
        capture(tmp_path) as relay,
    ):
        campaign = await submit(ledgers, relay, [f"slow+10ms-{row}@x.test" for row in range(160)], connections=3)
        async with supervised(orders(ledgers), 2):
            await until(lambda: relay.mailbox.accepted >= 30)
            own_server.kill()
            await asyncio.sleep(0.2)
            await asyncio.to_thread(own_server.start)
            await until(lambda: finished(ledgers, campaign.id), within=20)
        status = await checked(ledgers, campaign)
        assert (status.totals.sent, status.totals.in_doubt) == (160, 0)
        assert len(await records(ledgers, campaign)) == 160
    assert relay.mailbox.accepted == 160
    assert not taken_twice(relay)


@pytest.mark.thorough
async def test_arqs_own_command_works_a_campaign(ledgers: Ledgers, tmp_path: Path) -> None:
    async with capture(tmp_path) as relay:
        campaign = await submit(ledgers, relay, [f"p{row}@x.test" for row in range(50)])
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("arq")),
            "worker.WorkerSettings",
            "--burst",
            cwd=ROOT,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "MAILER_REDIS_URL": ledgers.url,
                "MAILER_QUEUE__PREFIX": ledgers.keys.prefix,
            },
            stdout=PIPE,
            stderr=PIPE,
        )
        _, words = await process.communicate()
        assert process.returncode == 0, words.decode()
        status = await checked(ledgers, campaign)
    assert (status.state, status.totals.sent) == (CampaignState.FINISHED, 50)
    assert not taken_twice(relay)
    assert await ledgers.fleet.known() == []


@pytest.mark.thorough
async def test_a_worker_that_cannot_start_says_why_and_is_not_started_again(own_server: OwnServer) -> None:
    async with open_ledgers(own_server.url, prefix="t", lease_s=1) as ledgers:
        await ledgers.redis.set(ledgers.keys.schema, "99")
        with pytest.raises(UsageError) as raised:
            await Supervisor(orders(ledgers), 2).run()
    assert raised.value.code == "E505"
    assert not isinstance(raised.value, QueueError)
