"""A ledger that was copied, moved or put back: everything rests until an operator says that this is the right one."""

import asyncio
import os
import shutil
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from importlib.resources import files
from pathlib import Path

import pytest
from redis.asyncio import Redis

from mailer.backends.embedded import ensure, stop
from mailer.backends.redis import place
from mailer.backends.redis.fleet import Worker, details_of
from mailer.backends.redis.gate import Gate
from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from mailer.backends.redis.place import Place, machine_id
from mailer.backends.redis.remembered import KEEP_S
from mailer.backends.redis.scripts import BEAT
from mailer.backends.redis.server import redis_ms
from mailer.vocabulary.campaign import Campaign, CampaignState
from mailer.vocabulary.errors import UsageError
from mailer.worker.process import WorkerProcess
from tests.ledger.campaigns import drafts, proposal, running
from tests.operator.console import Console
from tests.operator.recount import sound
from tests.servers import OwnServer, until
from tests.thorough import first
from tests.worker.relays import capture, orders, submit, taken_twice

PRELUDE = files("mailer.backends.redis.scripts").joinpath("prelude.lua").read_text(encoding="utf-8")


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Ledgers]:
    async with open_ledgers(url, prefix="t", lease_s=1) as ledgers:
        yield ledgers


@asynccontextmanager
async def at_work(ledgers: Ledgers) -> AsyncIterator[WorkerProcess]:
    """A worker that runs until the end of the block, where it drains."""
    async with WorkerProcess(orders(ledgers)) as worker:
        working = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            worker.stop()
            await working


async def let_somebody_come(ledgers: Ledgers) -> None:
    """A worker comes, finds the gate open, and goes."""
    async with at_work(ledgers) as worker:
        await until(worker._watch._open.is_set)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """Another folder, without a server in it at the end."""
    folder = tmp_path / "elsewhere"
    yield folder
    if folder.exists():
        stop(folder)


@pytest.mark.thorough
async def test_a_second_fleet_on_a_copy_sends_nothing_until_somebody_confirms(
    own_server: OwnServer, elsewhere: Path, tmp_path: Path
) -> None:
    async with opened(own_server.url) as ledgers, capture(tmp_path) as relay:
        await let_somebody_come(ledgers)
        campaign = await submit(ledgers, relay, [f"r{row}@x.test" for row in range(5)])
        shutil.copytree(own_server.folder, elsewhere, ignore=shutil.ignore_patterns("server.sock", "server.lock"))
        async with opened(ensure(elsewhere)) as copied:
            console = Console(copied, tmp_path)
            async with at_work(copied):
                await until(lambda: _is(copied, campaign, CampaignState.PAUSED))
                reason = (await copied.reading.status(campaign.id)).paused_reason
                assert reason == (
                    f"this ledger was moved or copied: it was in {own_server.folder}, and is in {elsewhere} now"
                )
                refused = await console.run("resume", campaign.id, code=2)
                assert reason in refused.err
                assert f"mailer resume {campaign.id} --confirm-restore" in refused.err
                assert (await console.run("resume", campaign.id, "--json", code=2)).error["code"] == "E114"
                # Whoever gives it his own reason has not confirmed anything.
                await console.run("pause", campaign.id, "--reason", "let me think")
                assert (await console.run("resume", campaign.id, code=2)).out == ""
                assert relay.mailbox.accepted == 0
                said = await console.run("resume", campaign.id, "--confirm-restore")
                assert said.out == f"{campaign.id} goes on\n"
                assert reason in said.err
                await until(lambda: _is(copied, campaign, CampaignState.FINISHED))
            assert relay.mailbox.accepted == 5
            ((at_ms, found),) = await copied.control.confirmed(campaign.id)
            assert found == reason
            assert abs(at_ms / 1000 - time.time()) < 60
            await sound(copied, campaign)
            # It is asked for once.
            another = await running(copied, drafts([9]))
            await let_somebody_come(copied)
            assert (await copied.reading.status(another.id)).state is not CampaignState.PAUSED
        assert (await ledgers.reading.status(campaign.id)).state is CampaignState.RUNNING
    assert not taken_twice(relay)


async def _is(ledgers: Ledgers, campaign: Campaign, state: CampaignState) -> bool:
    return (await ledgers.reading.status(campaign.id)).state is state


@pytest.mark.thorough
async def test_a_server_that_is_simply_started_again_or_killed_alarms_nobody(own_server: OwnServer) -> None:
    async with opened(own_server.url) as ledgers:
        await let_somebody_come(ledgers)
        campaign = await running(ledgers, drafts([1]))
        await ledgers.control.pause(campaign.id, "wait")
        own_server.kill()
        own_server.start()
        await let_somebody_come(ledgers)
        stop(own_server.folder)
        own_server.start()
        await let_somebody_come(ledgers)
        assert await ledgers.control.resume(campaign.id)
        assert await ledgers.control.confirmed(campaign.id) == []


@pytest.mark.thorough
async def test_a_replica_that_is_promoted_alarms_nobody_nor_does_its_restart(
    own_server: OwnServer, elsewhere: Path
) -> None:
    """What it holds came there in the open, whatever its folder is called."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with opened(own_server.url) as ledgers:
        await let_somebody_come(ledgers)
        campaign = await running(ledgers, drafts([1]))
        await ledgers.control.pause(campaign.id, "wait")
        async with Redis.from_url(ledgers.url) as administrator:
            await administrator.config_set("repl-diskless-sync-delay", 0)
            await administrator.config_set("port", port)
    async with opened(ensure(elsewhere)) as replica, Redis.from_url(replica.url) as administrator:
        await administrator.execute_command("REPLICAOF", "127.0.0.1", port)

        async def is_there() -> bool:
            return bool((await administrator.info("replication"))["master_link_status"] == "up")

        await until(is_there)
        await administrator.execute_command("REPLICAOF", "NO", "ONE")
        await let_somebody_come(replica)
        assert stop(elsewhere)
        ensure(elsewhere)
        await let_somebody_come(replica)
        assert await replica.control.resume(campaign.id)
        assert await replica.control.confirmed(campaign.id) == []


@pytest.mark.thorough
async def test_what_stood_on_another_machine_rests(own_server: OwnServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(own_server.url) as ledgers:
        monkeypatch.setattr(place, "machine_id", lambda *_: "one")
        await let_somebody_come(ledgers)
        campaign = await running(ledgers, drafts([1]))
        own_server.kill()
        own_server.start()
        monkeypatch.setattr(place, "machine_id", lambda *_: "another")
        await let_somebody_come(ledgers)
        status = await ledgers.reading.status(campaign.id)
        assert (status.state, status.paused_reason) == (
            CampaignState.PAUSED,
            "this ledger was moved or copied: it comes from another machine",
        )


@pytest.mark.thorough
async def test_a_draft_of_a_copy_waits_for_the_word_when_it_is_sealed(
    own_server: OwnServer, elsewhere: Path, tmp_path: Path
) -> None:
    async with opened(own_server.url) as ledgers:
        await let_somebody_come(ledgers)
        campaign = await ledgers.intake.open(proposal(key="k"))
        assert not await ledgers.intake.accept(campaign, drafts([1]))
        shutil.copytree(own_server.folder, elsewhere, ignore=shutil.ignore_patterns("server.sock", "server.lock"))
    async with opened(ensure(elsewhere)) as copied:
        await let_somebody_come(copied)
        with pytest.raises(UsageError) as caught:
            await copied.control.resume(campaign.id, confirm_restore=True)
        assert caught.value.message.endswith("is draft: not paused")
        await copied.intake.seal(campaign, "run", invalid=0, duplicate=0, complete=True)
        assert (await copied.reading.status(campaign.id)).state is CampaignState.PAUSED
        with pytest.raises(UsageError, match="until you confirm"):
            await copied.control.resume(campaign.id)
        said = await Console(copied, tmp_path).run("resume", campaign.id, "--confirm-restore", "--json")
        assert said.document["state"] == "running"
        ((at_ms, found),) = await copied.control.confirmed(campaign.id)
        (on_record,) = said.document["restores_confirmed"]
        assert on_record["found"] == found
        assert datetime.fromisoformat(on_record["at"]).timestamp() == at_ms / 1000
        await sound(copied, campaign)


@pytest.mark.thorough
async def test_planted_garbage_keeps_no_worker_from_the_gate(own_server: OwnServer, elsewhere: Path) -> None:
    async with opened(own_server.url) as ledgers:
        await let_somebody_come(ledgers)
        campaign = await running(ledgers, drafts([1]))
        await ledgers.redis.zadd(ledgers.keys.campaigns, {"planted": 1})
        await ledgers.redis.set(ledgers.keys.campaign("planted"), "garbage")
        await ledgers.redis.unlink(f"{ledgers.keys.identity}:epoch")
        await ledgers.redis.set(f"{ledgers.keys.identity}:epoch", "garbage")
        shutil.copytree(own_server.folder, elsewhere, ignore=shutil.ignore_patterns("server.sock", "server.lock"))
    async with opened(ensure(elsewhere)) as copied:
        await let_somebody_come(copied)
        assert (await copied.reading.status(campaign.id)).state is CampaignState.PAUSED


async def test_what_was_never_moved_needs_no_confirmation_and_takes_one(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts([1]))
    await ledgers.control.pause(campaign.id, "wait")
    assert await ledgers.control.resume(campaign.id, confirm_restore=True)
    assert await ledgers.control.confirmed(campaign.id) == []


@pytest.mark.parametrize(("lost_s", "state"), first(1, [(KEEP_S - 5, "running"), (KEEP_S + 1, "paused")]))
async def test_a_state_from_before_what_living_workers_remember_rests(
    own_server: OwnServer, lost_s: float, state: str
) -> None:
    """What is within their memory they put back; of what is not, nobody knows who was sent to."""
    async with opened(own_server.url) as ledgers, at_work(ledgers) as worker:
        await until(worker._watch._open.is_set)
        campaign = await ledgers.intake.open(proposal(key="k"))
        assert not await ledgers.intake.accept(campaign, drafts([1]))
        (trail,) = (own_server.folder / "appendonlydir").glob("*.incr.aof")
        kept = trail.stat().st_size
        # The worker learns of a beat that is so much later than all that is kept.
        later = str(await redis_ms(ledgers.redis) + int(lost_s * 1000))
        epoch = f"{ledgers.keys.identity}:epoch"
        await ledgers.redis.eval("return redis.call('HSET', KEYS[1], 'at', ARGV[1])", 1, epoch, later)
        await until(lambda: later.encode() in worker._heartbeat._identity)
        own_server.kill()
        os.truncate(trail, kept)
        own_server.start()
        run: bytes = await ledgers.redis.eval(f"{PRELUDE}\nreturn run_id()", 0)
        await until(lambda: _is_open(ledgers, run))
        await ledgers.intake.seal(campaign, "run", invalid=0, duplicate=0, complete=True)
        status = await ledgers.reading.status(campaign.id)
        assert status.state.value == state
        assert status.paused_reason == (
            None if state == "running" else "this ledger was put back to a state from before what its workers remember"
        )


async def beat(ledgers: Ledgers, owner: str, *, known: str = "") -> str:
    """Beat as a worker that knows so much of the ledger; what it knows then."""
    names = [ledgers.keys.workers, ledgers.keys.worker_details, ledgers.keys.identity, ledgers.keys.schema]
    worker = Worker(owner=owner, host="here", pid=1, version="1")
    answer: list[bytes] = await BEAT(ledgers.redis, names, owner, details_of(worker), known, "")
    return answer[2].decode()


async def test_a_loss_that_only_a_latecomer_knows_pauses_once_and_not_again_at_the_next_restart(
    own_server: OwnServer,
) -> None:
    """The gate is open already when he comes; and what was confirmed is not asked for by the next one who knows."""
    async with opened(own_server.url) as ledgers:
        campaign = await running(ledgers, drafts([1]))
        gate = Gate(ledgers.redis, ledgers.keys, 1)
        identity, at_ms, _, first_ms = (await beat(ledgers, "early")).split("~")
        run = (await ledgers.redis.eval(f"{PRELUDE}\nreturn run_id()", 0)).decode()
        assert await gate.announce("early", run) == 0

        async def comes(owner: str) -> CampaignState:
            # He knows a beat of an earlier start that is a minute later than all that was kept.
            await beat(ledgers, owner, known=f"{identity}~{int(at_ms) + 60_000}~0~{first_ms}")
            assert await gate.announce(owner, run) == 0
            return (await ledgers.reading.status(campaign.id)).state

        assert await comes("late") is CampaignState.PAUSED
        await ledgers.control.resume(campaign.id, confirm_restore=True)
        assert await comes("later") is CampaignState.RUNNING
        own_server.kill()
        own_server.start()
        await let_somebody_come(ledgers)
        assert (await ledgers.reading.status(campaign.id)).state is CampaignState.RUNNING


async def _is_open(ledgers: Ledgers, run: bytes) -> bool:
    return await ledgers.redis.hget(ledgers.keys.gate, "run") == run


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        (Place(), Place(machine="a", folder="/x"), None),
        (Place(machine="a", folder="/x"), Place(), None),
        (Place(machine="a", folder="/x"), Place(machine="a", folder="/x"), None),
        (Place(machine="", folder="/x"), Place(machine="b", folder="/x"), None),
        (Place(machine="a", folder="/x"), Place(machine="b", folder="/x"), "it comes from another machine"),
        (Place(machine="a", folder="/x"), Place(machine="a", folder="/y"), "it was in /x, and is in /y now"),
        (Place(machine="a", folder="/x"), Place(machine="b", folder="/y", was_replica=True), None),
    ],
)
def test_a_place_is_another_only_where_both_are_known(before: Place, now: Place, words: str | None) -> None:
    assert now.moved_from(before) == words


def test_a_machine_is_told_by_its_id_and_a_container_by_none(tmp_path: Path) -> None:
    ids, mounts = tmp_path / "machine-id", tmp_path / "mountinfo"
    mounts.write_text("22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n23 22 0:5 / /dev rw - devtmpfs udev rw\n")
    assert machine_id((tmp_path / "none", ids), mounts) == ""
    ids.write_text("0123456789abcdef\n")
    found = machine_id((tmp_path / "none", ids), mounts)
    assert len(found) == 16
    assert "0123456789abcdef" not in found
    mounts.write_text("600 500 0:80 / / rw,relatime - overlay overlay rw,lowerdir=/l\n")
    assert machine_id((ids,), mounts) == ""
    assert machine_id((ids,), tmp_path / "none") == ""
