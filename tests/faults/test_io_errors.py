"""Whatever call to the queue server or write to the relay fails, everything adds up afterwards."""

import itertools

import pytest

from tests.faults.io_errors import WHERE
from tests.faults.plans import Fault, Plan
from tests.faults.rounds import Benches
from tests.thorough import thorough

AT_ONCE = 20
QUICK = {"redis_call": (15, 39), "redis_answer": (16, 28), "smtp_write": (6,)}
REST = {"redis_call": (3, 27, 51), "redis_answer": (4, 40, 52), "smtp_write": (3, 9)}


def _plan(where: str, count: int) -> Plan:
    return Plan(seed=count, people=3, chunk=2, faults=(Fault(kind="io_error", point=f"{where}:{count}"),))


@pytest.mark.parametrize("some", [QUICK, *thorough(REST)], ids=["quick", "the others"])
async def test_a_call_that_fails_loses_nobody_and_sends_nobody_a_second_message(
    benches: Benches, some: dict[str, tuple[int, ...]]
) -> None:
    """Some places of each kind."""
    plans = [_plan(where, count) for where, counts in some.items() for count in counts]
    results = await benches.carry_out(plans)
    for result in results:
        assert not result.violations, (result.plan.words, result.violations)
    assert sum(result.was_broken for result in results) > len(plans) / 2


@pytest.mark.every_point
@pytest.mark.parametrize("where", WHERE)
async def test_the_same_for_the_nth_one_until_a_mailing_is_over_before_it(benches: Benches, where: str) -> None:
    """N = 1, 2, 3 and so on, until nothing was left to fail."""
    counts = itertools.count(1)
    while True:
        results = await benches.carry_out(_plan(where, count) for count in itertools.islice(counts, AT_ONCE))
        for result in results:
            assert not result.violations, (result.plan.words, result.violations)
        if not all(result.was_broken for result in results):
            return
