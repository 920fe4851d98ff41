"""Random plans: a few of those that `python -m tests.faults` carries out by the thousand."""

import pytest

from tests.faults.plans import Plan, random_plan, read_plan, smaller
from tests.faults.rounds import Benches
from tests.thorough import thorough

SEEDS = (1, 8, 11, 17)
LONGER = (2, 3, 4, 5, 6, 7, 12, 13, 18)
"""Most with so many deaths that a round takes ten seconds."""


@pytest.mark.parametrize("seeds", [SEEDS, *thorough((LONGER,))], ids=str)
async def test_whatever_goes_wrong_everything_adds_up_in_the_end(benches: Benches, seeds: tuple[int, ...]) -> None:
    """Nothing lost, nothing sent twice in silence, nothing left open."""
    for result in await benches.carry_out(map(random_plan, seeds)):
        assert not result.violations, (result.plan.words, result.violations)


def test_a_seed_is_a_plan_and_a_plan_is_a_line() -> None:
    """What a failure prints is enough to see it again."""
    for seed in range(200):
        plan = random_plan(seed)
        assert plan == random_plan(seed)
        assert read_plan(plan.words) == plan
        assert all(0 <= who < plan.people for who in (*plan.refused, *plan.greylisted, *plan.refused_at_dot))


def test_a_plan_becomes_smaller_until_nothing_is_left_of_it() -> None:
    """Shrinking ends, whatever fails."""
    plan, steps = random_plan(7), 0
    while (less := next(smaller(plan), None)) is not None:
        assert less != plan
        plan, steps = less, steps + 1
    assert plan == Plan(seed=7, people=1, chunk=plan.chunk)
    assert steps < 100
