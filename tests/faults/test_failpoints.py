"""A worker that dies at any of its own failpoints costs nobody a message, and nobody gets a second one."""

import os
from pathlib import Path

import pytest

import mailer
from mailer import failpoints
from tests.faults.plans import Fault, Plan
from tests.faults.rounds import Benches
from tests.faults.steps import Step
from tests.thorough import thorough

SOURCES = "".join(path.read_text() for path in Path(mailer.__file__).parent.rglob("*.py"))
DOT = Step.DOT
BEFORE: dict[str, tuple[Fault, ...]] = {
    # Nothing is taken over before the server has answered for a lease.
    "in_reconciler": (Fault(kind="tarpit", step=DOT, for_s=5.0),),
    "in_rescue": (Fault(kind="kill_worker", step=DOT, count=2),),
    "in_replay": (Fault(kind="kill_redis", step=DOT, count=2),),
    "in_shutdown": (Fault(kind="term", step=DOT, count=2),),
}
"""What has to happen before a worker comes there."""
WHOSE = {"after_accept": "kill_producer", "in_rescue": "successor_failpoint"}
"""The first worker's, but for these: the one that heals must not be the one that was killed to be healed."""
QUICK = ("after_accept", "before_mark", "after_mark", "dot_written", "reply_read", "after_record", "in_shutdown")
REST = tuple(name for name in failpoints.NAMES if name not in QUICK)


def plan_of(name: str) -> Plan:
    """A few people, and a worker that dies when it comes there; its successor is well."""
    point = f"{name}:{2 if name in ('after_mark', 'reply_read') else 1}"
    # A replay comes before the next claim, so there must be more chunks than are claimed at once.
    people = 30 if name == "in_replay" else 6
    faults = (Fault(kind=WHOSE.get(name, "failpoint"), point=point), *BEFORE.get(name, ()))
    return Plan(people=people, chunk=3, faults=faults)


def deaths_of(plan: Plan) -> int:
    """How many there are when everything has happened."""
    return sum(fault.kind.endswith("failpoint") or fault.kind.startswith("kill_") for fault in plan.faults)


@pytest.mark.parametrize("names", [QUICK, *thorough((REST,))], ids=["quick", "the others"])
async def test_death_at_any_failpoint_loses_nobody_and_sends_nobody_a_second_message(
    benches: Benches, names: tuple[str, ...]
) -> None:
    """Whatever the worker knew and had not said."""
    for result in await benches.carry_out(map(plan_of, names)):
        assert not result.violations, (result.plan.words, result.violations)
        assert result.kills >= deaths_of(result.plan), f"nobody died there: {result.plan.words}"


@pytest.mark.parametrize("name", failpoints.NAMES)
def test_a_failpoint_stands_in_the_sources(name: str) -> None:
    """One that nobody reaches would be in no plan's way."""
    assert f'reached("{name}")' in SOURCES


def test_an_unknown_failpoint_is_refused() -> None:
    """A misspelt one would let a test pass that tests nothing."""
    with pytest.raises(ValueError, match="no failpoint 'befor_claim'"):
        failpoints.arm("befor_claim")


def test_without_its_variable_a_failpoint_does_nothing() -> None:
    """In the process of these tests the variable is not set."""
    assert "MAILER_FAILPOINTS" not in os.environ
    failpoints.reached("after_mark")
