"""Faults 1 to 9 and 16: a worker is killed at one step after the other, and its message ends where it should."""

import signal
from collections.abc import Awaitable, Callable

import pytest

from mailer.vocabulary.recipient import State
from tests.faults.crew import Member
from tests.faults.steps import Step
from tests.reliability.company import Company, died
from tests.reliability.scene import LEASE_S, Scene, at

ANN = "ann@x.test"
LARGE = b"more and more\r\n" * 60_000

Ended = tuple[State, int, int]
"""A state, how often the relay took it, and how many crashes are on record."""


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job whose worker died before its claim is made again after a lease, as with a lease of ten seconds."""
    monkeypatch.setattr("mailer.backends.redis.jobs.UNCLAIMED_S", LEASE_S)


async def ended(scene: Scene, body: bytes, die: Callable[[], Awaitable[Member]]) -> Ended:
    """One message; its worker dies, another one works on, and everything is over."""
    campaign = await scene.submit([ANN], body=body)
    await died(await die())
    await scene.worked_off(campaign)
    (record,) = (await scene.books(campaign)).values()
    (entry,) = await scene.entries(campaign)
    if record.state is State.IN_DOUBT:
        assert record.text == "worker died while sending; not re-sent"
        assert record.message_id is not None
    return record.state, scene.given[ANN], entry.crashes


async def of_itself(scene: Scene, company: Company, point: str, body: bytes = b"Hello.\r\n") -> Ended:
    """The worker is killed at a place of its own code."""
    return await ended(scene, body, lambda: company.worker(failpoints=point))


async def by_the_relay(scene: Scene, company: Company, step: Step, body: bytes = b"Hello.\r\n") -> Ended:
    """The worker is killed when the relay comes to this step."""

    async def die() -> Member:
        member = await company.worker()
        scene.on_step = at(step, lambda _: member.send(signal.SIGKILL))
        return member

    return await ended(scene, body, die)


async def test_01_killed_before_the_claim_it_leaves_no_trace(scene: Scene, company: Company) -> None:
    """Another worker takes the chunk, and everybody gets one."""
    assert await of_itself(scene, company, "before_claim") == (State.SENT, 1, 0)


@pytest.mark.parametrize("point", ["after_claim", "before_connect"])
async def test_02_killed_between_claim_and_connection_costs_a_crash_and_no_message(
    scene: Scene, company: Company, point: str
) -> None:
    """The lease is waited for, and it is on record that a worker died."""
    assert await of_itself(scene, company, point) == (State.SENT, 1, 1)


@pytest.mark.parametrize("step", [Step.MAIL, Step.RCPT])
async def test_03_killed_in_the_envelope_it_is_sent_or_in_doubt_and_the_relay_has_it_once_at_most(
    scene: Scene, company: Company, step: Step
) -> None:
    """The mark travels while the envelope does: where it is there already nobody can know better."""
    assert await by_the_relay(scene, company, step) in ((State.SENT, 1, 1), (State.IN_DOUBT, 0, 1))


@pytest.mark.thorough
async def test_04_killed_between_mark_and_body_is_in_doubt(scene: Scene, company: Company) -> None:
    """It cannot be told from a death after the dot, so it is not sent again."""
    assert await of_itself(scene, company, "after_mark") == (State.IN_DOUBT, 0, 1)


async def test_05_killed_in_the_body_is_in_doubt_and_only_a_dot_makes_the_relay_take_it(
    scene: Scene, company: Company
) -> None:
    """What a dead process had given to its kernel still arrives; without the dot a relay discards it."""
    state, given, crashes = await by_the_relay(scene, company, Step.BODY, LARGE)
    assert (state, crashes) == (State.IN_DOUBT, 1)
    assert given == scene.seen(Step.DOT) <= 1


async def test_05_killed_by_itself_in_the_middle_of_a_large_body(scene: Scene, company: Company) -> None:
    """The same, with half of it written."""
    assert await of_itself(scene, company, "body_half", LARGE) == (State.IN_DOUBT, 0, 1)


@pytest.mark.parametrize("step", [Step.DOT, Step.FSYNCED])
async def test_06_07_killed_after_the_dot_is_in_doubt_and_the_relay_may_have_it(
    scene: Scene, company: Company, step: Step
) -> None:
    """Before or after the relay has written it down: nobody sends it a second time."""
    assert await by_the_relay(scene, company, step) == (State.IN_DOUBT, 1, 1)
    assert scene.seen(Step.DOT) == 1


@pytest.mark.parametrize("point", ["reply_read", "before_record"])
async def test_08_killed_between_the_250_and_its_record_is_in_doubt_with_its_message_id(
    scene: Scene, company: Company, point: str
) -> None:
    """It was accepted and only the relay's log says so: the Message-ID finds it there."""
    assert await of_itself(scene, company, point) == (State.IN_DOUBT, 1, 1)


@pytest.mark.parametrize("point", ["after_record", "before_arq_finish"])
async def test_09_killed_after_the_record_the_job_runs_again_and_finds_nothing_to_do(
    scene: Scene, company: Company, point: str
) -> None:
    """Final is final, and nobody opens a second connection."""
    assert await of_itself(scene, company, point) == (State.SENT, 1, 0)
    assert scene.seen(Step.CONNECT) == 1


async def test_16_a_message_at_which_three_workers_die_is_poison_and_the_others_are_sent(
    scene: Scene, company: Company
) -> None:
    """The second time around they are claimed one by one, so that only the guilty one reaches three."""
    campaign = await scene.submit([ANN, "bob@x.test", "cy@x.test"])
    for _ in range(3):
        await died(await company.worker(failpoints="after_claim", lease_s=0.3))
        async with scene.at_work(lease_s=0.3) as healer:
            # Who heals must not send: the next one is to die of it.
            healer.stop()
    await scene.worked_off(campaign)
    found = await scene.books(campaign)
    assert (found[ANN].state, found[ANN].reason) == (State.FAILED, "poison")
    assert {record.state for email, record in found.items() if email != ANN} == {State.SENT}
