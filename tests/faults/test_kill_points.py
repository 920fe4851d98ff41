"""Whatever the relay sees, at that moment a worker or the queue server dies, and everything adds up afterwards."""

import itertools
from typing import Literal

import pytest

from tests.faults.plans import Fault, Plan
from tests.faults.rounds import Benches
from tests.faults.stage import LEASE_S
from tests.faults.steps import Step
from tests.thorough import thorough

STEPS = tuple(Step)
PEOPLE = 4

WAYS: tuple[Literal["auto", "full", "off"], ...] = ("auto", "full", "off")


QUICK = {
    "kill_worker": (Step.RCPT, Step.BODY, Step.DOT, Step.REPLIED),
    "kill_redis": (Step.AUTH, Step.DATA, Step.DOT, Step.FSYNCED),
}
"""Before the message, in it, and behind it."""
REST = {kind: tuple(step for step in STEPS if step not in steps) for kind, steps in QUICK.items()}


def _count(step: Step) -> int:
    """In the middle of the mailing, where there is one: the first connection is opened once."""
    return 1 if step in STEPS[:4] else 2


@pytest.mark.parametrize(("kind", "steps"), [*QUICK.items(), *thorough(*REST.items())])
async def test_at_every_step_of_a_session_a_kill_loses_nobody_and_sends_nobody_a_second_message(
    benches: Benches, kind: str, steps: tuple[Step, ...]
) -> None:
    """Sent has arrived, refused has not, in doubt had its mark; nothing else is left."""
    plans = [
        Plan(seed=seed, people=PEOPLE, chunk=2, faults=(Fault(kind=kind, step=step, count=_count(step)),))
        for seed, step in enumerate(steps)
    ]
    for result in await benches.carry_out(plans):
        assert not result.violations, (result.plan.words, result.violations)


@pytest.mark.parametrize("kind", ["kill_worker", "stop", "kill_redis"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.every_point
async def test_the_same_for_every_message_of_a_mailing(benches: Benches, step: Step, kind: str) -> None:
    """Every step of six messages, with and without pipelining; run with `-m every_point`."""
    lasts_s = 2.2 * LEASE_S if kind == "stop" else 0.2
    counts = range(1, 7 if step not in STEPS[:4] else 2)
    plans = [
        Plan(people=6, pipelining=pipelining, faults=(Fault(kind=kind, step=step, count=count, for_s=lasts_s),))
        for count, pipelining in itertools.product(counts, WAYS)
    ]
    for result in await benches.carry_out(plans):
        assert not result.violations, (result.plan.words, result.violations)
