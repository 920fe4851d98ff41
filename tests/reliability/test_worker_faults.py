"""Faults 12 to 22: a worker is stopped, stalls, is cancelled, or can neither record nor connect."""

import asyncio
import random
import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from mailer.backends.redis.jobs import JOB_TIMEOUT_S, worker_settings
from mailer.backends.redis.ledgers import open_ledgers
from mailer.flow.run import CHUNK_DEADLINE_S
from mailer.vocabulary.recipient import State
from mailer.vocabulary.settings import SmtpSettings
from tests.faults.acceptance import now_ms
from tests.faults.steps import Moment, Step
from tests.ledger.campaigns import drafts, running
from tests.ledger.hands import hand
from tests.reliability.company import Company, died
from tests.reliability.scene import LEASE_S, Scene, at
from tests.servers import OwnServer, until

ANN = "ann@x.test"


async def test_12_a_worker_that_was_stopped_past_its_lease_sends_nothing_when_it_goes_on(
    scene: Scene, company: Company
) -> None:
    """As a virtual machine that is paused, or a laptop that sleeps: somebody else has sent it meanwhile."""
    campaign = await scene.submit([ANN])
    sleeper = await company.worker()
    scene.on_step = at(Step.AUTH, lambda _: sleeper.send(signal.SIGSTOP))
    await until(lambda: scene.seen(Step.AUTH) == 1)
    await scene.worked_off(campaign)
    sleeper.send(signal.SIGCONT)
    sleeper.send(signal.SIGTERM)
    await died(sleeper, 0)
    (record,) = (await scene.books(campaign)).values()
    assert (record.state, scene.given[ANN], scene.seen(Step.BODY)) == (State.SENT, 1, 1)


async def test_12_a_reply_that_a_stopped_worker_reads_late_changes_no_state(scene: Scene, company: Company) -> None:
    """It was in the body when its lease ended: that is in doubt, whatever it hears afterwards, and nobody has two."""
    campaign = await scene.submit([ANN])
    sleeper = await company.worker()
    scene.on_step = at(Step.DOT, lambda _: sleeper.send(signal.SIGSTOP))
    await until(lambda: scene.seen(Step.REPLIED) == 1)
    await scene.worked_off(campaign)
    sleeper.send(signal.SIGCONT)
    sleeper.send(signal.SIGTERM)
    await died(sleeper, 0)
    assert (await scene.books(campaign))[ANN].state is State.IN_DOUBT
    assert scene.given == {ANN: 1}


@pytest.mark.every_point
async def test_12_whenever_it_is_stopped_nobody_has_two(scene: Scene, company: Company) -> None:
    """Fifty times, at any moment of a session."""
    people = [f"p{number}@x.test" for number in range(50)]
    for person in people:
        campaign = await scene.submit([person])
        sleeper = await company.worker()
        step = random.choice(list(Step))
        seen = scene.seen(step)
        scene.on_step = at(step, lambda _, member=sleeper: member.send(signal.SIGSTOP), count=seen + 1)  # type: ignore[misc]
        await until(lambda step=step, seen=seen: scene.seen(step) > seen)  # type: ignore[misc]
        await scene.worked_off(campaign)
        sleeper.send(signal.SIGCONT)
        sleeper.send(signal.SIGTERM)
        await died(sleeper, 0)
        await scene.books(campaign)


async def test_13_a_loop_that_stands_still_for_longer_than_the_lease_keeps_its_claims(
    scene: Scene, company: Company
) -> None:
    """The heartbeat has a thread of its own: a heavy template costs time, and nobody a second claim."""
    campaign = await scene.submit([f"p{number}@x.test" for number in range(4)])
    stalled = asyncio.Event()

    async def stall(moment: Moment) -> bytes | None:
        if (moment.step, moment.count) == (Step.RCPT, 2):
            await company.worker()
            await until(lambda: _alive(scene, 2))
            time.sleep(2.5 * LEASE_S)  # noqa: ASYNC251 (that the loop stands still is what is tried)
            stalled.set()
        return None

    scene.on_step = stall
    await scene.worked_off(campaign)
    assert stalled.is_set()
    assert {record.state for record in (await scene.books(campaign)).values()} == {State.SENT}
    assert [entry.crashes for entry in await scene.entries(campaign)] == [0] * 4
    assert {moment.client for moment in scene.steps if moment.step is Step.MAIL} == {"client.test"}


async def _alive(scene: Scene, count: int) -> bool:
    return len(await scene.ledgers.fleet.alive()) == count


@pytest.mark.parametrize("times", [15, pytest.param(1000, marks=pytest.mark.every_point)])
async def test_14_of_twenty_workers_that_claim_one_recipient_exactly_one_has_it(scene: Scene, times: int) -> None:
    """One compare-and-set wins, and only who won may send."""
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(hand(scene.ledgers)) for _ in range(20)]
        campaign = await running(scene.ledgers, *(drafts([row]) for row in range(1, times + 1)))
        for chunk in range(times):
            claims = await asyncio.gather(*(worker.claim(campaign, chunk) for worker in workers))
            assert sorted(len(claim.recipients) for claim in claims) == [0] * 19 + [1]
            (claim,) = (claim for claim in claims if claim.recipients)
            answers = await asyncio.gather(*(worker.mark(claim, claim.recipients[0]) for worker in workers))
            assert True in answers


def test_15_no_job_of_arq_ends_before_the_longest_reply_may_come() -> None:
    """A chunk begins nothing after its deadline, and a reply to the dot may take ten minutes."""

    async def work(ctx: dict[str, object], campaign_id: str, chunk: int) -> None:
        """Nothing."""

    settings = worker_settings("redis://localhost", "q", work, chunks_at_once=1, wait_s=60)
    assert settings["job_timeout"] == settings["functions"][0].timeout_s == JOB_TIMEOUT_S
    assert SmtpSettings().reply_timeout + CHUNK_DEADLINE_S < JOB_TIMEOUT_S


async def test_15_a_job_that_is_cancelled_amid_a_send_is_in_doubt_and_its_connection_closed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should it happen all the same: not lost, not sent again, and no connection with a reply still to come."""
    monkeypatch.setattr("mailer.backends.redis.jobs.JOB_TIMEOUT_S", 0.5)
    campaign = await scene.submit([ANN, "bob@x.test"])
    held = asyncio.Event()

    async def hold(moment: Moment) -> bytes | None:
        if (moment.step, moment.count) == (Step.FSYNCED, 1):
            await held.wait()
        return None

    scene.on_step = hold
    await scene.worked_off(campaign)
    held.set()
    found = await scene.books(campaign)
    assert [record.state for record in found.values()] == [State.IN_DOUBT, State.SENT]
    assert len({entry.session for entry in scene.sink.log.read().accepted}) == 2


async def test_21_while_the_mark_cannot_be_written_no_body_leaves(
    own_server: OwnServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not able to record is not sending: nobody is in doubt, and all are sent when the queue server is back."""
    monkeypatch.setattr("mailer.backends.redis.permits.MARK_TIMEOUT_S", 0.2)
    async with open_ledgers(own_server.url, prefix="t", lease_s=LEASE_S) as ledgers, Scene(ledgers, tmp_path) as scene:
        campaign = await scene.submit([f"p{number}@x.test" for number in range(5)])
        scene.on_step = at(Step.AUTH, lambda _: own_server.kill())
        async with scene.at_work():
            # The envelope has gone out, and without its mark it ends there.
            await until(lambda: scene.seen(Step.RCPT) == 1 and not scene.sink._tasks)
            assert scene.seen(Step.BODY) == 0
            back_ms = now_ms()
            await asyncio.to_thread(own_server.start)
            await scene.finished(campaign)
        assert {record.state for record in (await scene.books(campaign)).values()} == {State.SENT}
        assert min(entry.ms for entry in scene.sink.log.read().accepted) > back_ms


async def test_22_connections_that_all_hang_hold_up_no_other_route(scene: Scene, tmp_path: Path) -> None:
    """More messages than connections, and a relay that says nothing: they wait, not for ever, and burn nobody."""
    (tmp_path / "other").mkdir()
    async with Scene(scene.ledgers, tmp_path / "other", certificates=scene.sink.certificates) as hung:
        released = asyncio.Event()

        async def hang(moment: Moment) -> bytes | None:
            if moment.step is Step.EHLO:
                await released.wait()
            return None

        hung.on_step = hang
        stuck = await hung.submit(
            [f"p{number}@x.test" for number in range(20)], max_connections=2, connect_timeout=1.0, command_timeout=1.0
        )
        other = await scene.submit([f"q{number}@x.test" for number in range(20)])
        async with scene.at_work():
            await scene.finished(other)
            assert (await scene.status(stuck)).totals.queued + (await scene.status(stuck)).totals.claimed == 20
            await scene.holds(stuck, lambda status: status.next_due_ms is not None)
            assert {record.attempts for record in (await hung.books(stuck)).values()} == {0}
            released.set()
            await scene.finished(stuck)
        assert {record.state for record in (await hung.books(stuck)).values()} == {State.SENT}
