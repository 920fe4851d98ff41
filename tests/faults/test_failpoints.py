"""A worker that dies at any of its own failpoints costs nobody a message, and nobody gets a second one."""

import os
from pathlib import Path

import pytest

import mailer
from mailer import failpoints
from tests.faults.plans import Fault, Plan
from tests.faults.rounds import Benches
from tests.faults.steps import Step

SOURCES = "".join(path.read_text() for path in Path(mailer.__file__).parent.rglob("*.py"))
DEATH = Fault(kind="kill_worker", step=Step.DOT, count=2)
OTHER_DEATHS: dict[str, Fault] = {
    "in_rescue": DEATH,
    "in_replay": Fault(kind="kill_redis", step=Step.DOT, count=2),
    "in_shutdown": Fault(kind="term", step=Step.DOT, count=2),
}
"""What has to happen before a worker comes there."""
TRIES = 16
"""Which of two workers heals is a matter of chance, and only one of them is to die of it."""


def plan_of(name: str) -> Plan:
    """A few people, and a first worker that dies when it comes there; its successor is well."""
    whose = "kill_producer" if name == "after_accept" else "failpoint"
    point = Fault(kind=whose, point=f"{name}:{2 if name in ('after_mark', 'reply_read') else 1}")
    others = [OTHER_DEATHS[name]] if name in OTHER_DEATHS else []
    if name == "in_reconciler":
        # Nothing is taken over before the server has answered for a lease.
        others = [Fault(kind="tarpit", step=Step.DOT, for_s=2.0)]
    # The one that is to die while it heals must not be the one that is killed to be healed.
    # A replay comes before the next claim, so there must be more chunks than are claimed at once.
    people = 30 if name == "in_replay" else 6
    return Plan(people=people, chunk=3, workers=2 if OTHER_DEATHS.get(name) is DEATH else 1, faults=(point, *others))


def deaths_of(plan: Plan) -> int:
    """How many there are when everything has happened."""
    return sum(fault.kind in ("failpoint", "kill_producer", "kill_worker", "kill_redis") for fault in plan.faults)


async def test_death_at_any_failpoint_loses_nobody_and_sends_nobody_a_second_message(benches: Benches) -> None:
    """Whatever the worker knew and had not said."""
    waiting = {name for name in failpoints.NAMES if f'reached("{name}")' in SOURCES}
    assert waiting == set(failpoints.NAMES)
    for _ in range(TRIES):
        names = sorted(waiting)
        for name, result in zip(names, await benches.carry_out(map(plan_of, names)), strict=True):
            assert not result.violations, (result.plan.words, result.violations)
            if result.kills >= deaths_of(result.plan):
                waiting.remove(name)
        if not waiting:
            return
    pytest.fail(f"nobody died at {sorted(waiting)}")


def test_an_unknown_failpoint_is_refused() -> None:
    """A misspelt one would let a test pass that tests nothing."""
    with pytest.raises(ValueError, match="no failpoint 'befor_claim'"):
        failpoints.arm("befor_claim")


def test_without_its_variable_a_failpoint_does_nothing() -> None:
    """In the process of these tests the variable is not set."""
    assert "MAILER_FAILPOINTS" not in os.environ
    failpoints.reached("after_mark")
