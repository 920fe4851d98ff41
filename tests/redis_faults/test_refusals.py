"""A queue server that answers and does not write, may evict, or refuses the login: loud, no claims, on by itself."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from tests.operator.recount import sound
from tests.redis_faults.servers import FaultyServer
from tests.redis_faults.under_way import nobody_is_well, under_way
from tests.redis_faults.workers import at_work, finished, logged, recoveries, troubles
from tests.servers import until
from tests.worker.relays import capture, submit


def no_memory(server: FaultyServer) -> None:
    server.say("CONFIG", "SET", "maxmemory", 1)


def enough_memory(server: FaultyServer) -> None:
    server.say("CONFIG", "SET", "maxmemory", 0)


def a_replica(server: FaultyServer) -> None:
    server.say("REPLICAOF", "127.0.0.1", 1)


def a_primary(server: FaultyServer) -> None:
    server.say("REPLICAOF", "NO", "ONE")


def lonely(server: FaultyServer) -> None:
    server.say("CONFIG", "SET", "min-replicas-to-write", 1)


def content(server: FaultyServer) -> None:
    server.say("CONFIG", "SET", "min-replicas-to-write", 0)


def full_disk(server: FaultyServer) -> None:
    """A snapshot that fails: what stands on the disk is small, and the snapshot would be large."""
    server.say("CONFIG", "SET", "appendonly", "no")
    server.say("CONFIG", "SET", "rdbcompression", "no", "stop-writes-on-bgsave-error", "yes", "save", "3600 1")
    server.say("SET", "large", "x" * 4_000_000)
    server.limit_files(2_000_000)
    server.say("BGSAVE")


def larger_disk(server: FaultyServer) -> None:
    server.limit_files(1 << 40)
    server.say("CONFIG", "SET", "save", "", "stop-writes-on-bgsave-error", "no")


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("wrong", "right", "words"),
    [
        (no_memory, enough_memory, "maxmemory"),
        (a_replica, a_primary, "read only"),
        (lonely, content, "NOREPLICAS"),
        (full_disk, larger_disk, "MISCONF"),
    ],
)
async def test_a_server_that_does_not_write_stops_the_claims_aloud_until_it_does(
    server: FaultyServer,
    tmp_path: Path,
    wrong: Callable[[FaultyServer], None],
    right: Callable[[FaultyServer], None],
    words: str,
) -> None:
    async with under_way(server, tmp_path, takes_ms=100, lease_s=1) as sending:
        async with logged() as logs, sending.at_work():
            await until(lambda: sending.taken >= 4)
            wrong(server)
            await until(lambda: len(troubles(logs)) > 0)
            assert troubles(logs) == ["E507"]
            (said,) = [line for line in logs if line["event"] == "nothing is claimed"]
            assert words.lower() in said["reason"].lower()
            before = sending.taken
            await until(lambda: nobody_is_well(sending.ledgers))
            assert sending.taken <= before + 2
            right(server)
            await until(lambda: recoveries(logs) == 1)
            await sending.finished()
        await sending.everybody_has_one()


async def test_a_server_that_may_evict_stops_the_claims_and_the_line_that_mends_it_is_said(
    server: FaultyServer, tmp_path: Path
) -> None:
    async with open_ledgers(server.url, prefix="t", lease_s=1) as ledgers, capture(tmp_path) as relay:
        async with logged() as logs, at_work(ledgers):
            server.say("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
            await until(lambda: troubles(logs) == ["E502"])
            await until(lambda: _health(ledgers, "E502"))
            campaign = await submit(ledgers, relay, ["a@x.test"])
            (said,) = [line for line in logs if line["event"] == "nothing is claimed"]
            command = said["hint"].removeprefix("valkey-cli ").split()
            assert (await ledgers.reading.status(campaign.id)).totals.queued == 1
            server.say(*command)
            await until(lambda: finished(ledgers, campaign.id))
            await until(lambda: _health(ledgers, "ok"))
        assert relay.mailbox.accepted == 1
        await sound(ledgers, campaign)


async def _health(ledgers: Ledgers, begins: str) -> bool:
    return all(worker.health.startswith(begins) for worker in await ledgers.fleet.alive())


async def test_a_password_that_was_changed_stops_the_claims_and_keeps_the_outcomes(
    server: FaultyServer, tmp_path: Path
) -> None:
    async with under_way(server, tmp_path, people=12, takes_ms=300, chunk=3, lease_s=2) as sending:
        async with logged() as logs, sending.at_work():
            await until(lambda: sending.taken >= 2)
            server.lock_out()
            await until(lambda: troubles(logs)[-1:] == ["E509"])
            assert "secret" not in str(logs)
            server.let_in()
            await sending.finished()
            assert recoveries(logs) == 1
        await sending.everybody_has_one()


async def test_a_slow_server_makes_nobody_claim_twice(server: FaultyServer, tmp_path: Path) -> None:
    async with under_way(server, tmp_path, people=60, takes_ms=30, chunk=10, lease_s=1) as sending:
        async with sending.at_work(2):
            await until(lambda: sending.taken >= 10)
            # Longer than the lease: nobody beats, and nobody may be taken for dead.
            server.say("CLIENT", "PAUSE", 2500, "ALL")
            await sending.finished()
        await sending.everybody_has_one()
