"""A series of random plans: how it went in one line, and the smallest plan that fails when something did not hold."""

import asyncio
import itertools
import sys
import time
from collections import Counter
from collections.abc import Iterator

from mailer.worker.event_loop import new_event_loop
from tests.faults import nursery
from tests.faults.invariants import Tally
from tests.faults.plans import Plan, random_plan, smaller
from tests.faults.rounds import Bench, Result
from tests.faults.slots import Told, carry_out, scratch
from tests.relays.certificates import good

SHRINKING_S = 120.0
TRIES = 4
"""How often a smaller plan is carried out before it counts as one that holds."""
MOST_FAILURES = 10
"""After so many failed rounds a series is given up."""
EVERY = 500


def run_series(first: int, *, rounds: int, kills: int, slots: int, mutant: str) -> int:
    """Carry out seeds from `first` on: so many rounds, or as many as it takes to so many kills. Returns exit status."""
    seeds = itertools.count(first) if kills else iter(range(first, first + rounds))
    started, figures, killed, failed, done, last = time.monotonic(), Counter[str](), 0, list[Told](), 0, first
    for done, told in enumerate(_looked_at(seeds, slots, mutant), 1):
        figures.update(told.figures)
        killed += told.kills
        last = max(last, told.seed)
        if told.violations:
            failed.append(told)
            print(f"seed {told.seed} ({told.folder}):", *told.violations, sep="\n  ", flush=True)
            print(f"replay: python -m tests.faults --times 20 --seed {told.seed}", flush=True)
        if done % EVERY == 0:
            pace = done / (time.monotonic() - started)
            print(f"{done} rounds, {killed} kills, {pace:.1f} rounds/s", file=sys.stderr, flush=True)
        if len(failed) >= MOST_FAILURES or (kills and killed >= kills):
            break
    seconds = time.monotonic() - started
    print(
        f"{Tally(figures).line} kills={killed} rounds={done} seeds={first}-{last} seconds={seconds:.0f} "
        f"({done / seconds:.1f} rounds/s, {killed / seconds:.1f} kills/s)"
    )
    if failed:
        _shrink(random_plan(min(told.seed for told in failed)), mutant)
    return 1 if failed else 0


def _looked_at(seeds: Iterator[int], slots: int, mutant: str) -> Iterator[Told]:
    return carry_out((random_plan(seed) for seed in seeds), slots=slots, mutant=mutant)


def repeat(plan: Plan, times: int, mutant: str) -> int:
    """Carry out one plan so many times, and tell everything. Returns exit status."""
    print(plan.words)
    bad = 0
    bench = Bench(scratch(), nursery.forked(), good())
    for _ in range(times):
        result = _once(bench, plan, mutant)
        print(result.tally.line, f"kills={result.kills} seconds={result.seconds:.2f}")
        if result.violations:
            bad += 1
            print(f"kept in {result.folder}:", *result.violations, sep="\n  ")
    print(f"{bad} of {times} failed")
    bench.close()
    return 1 if bad else 0


def _once(bench: Bench, plan: Plan, mutant: str) -> Result:
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(bench.carry_out(plan, mutant=mutant))


def _shrink(plan: Plan, mutant: str) -> None:
    """Find a plan with less in it that fails, too, and print it."""
    bench = Bench(scratch(), nursery.forked(), good())
    deadline = time.monotonic() + SHRINKING_S

    def fails(candidate: Plan) -> Result | None:
        for _ in range(TRIES):
            if time.monotonic() > deadline:
                return None
            result = _once(bench, candidate, mutant)
            if result.violations:
                return result
        return None

    found = None
    is_shrinking = True
    while is_shrinking and time.monotonic() < deadline:
        is_shrinking = False
        for candidate in smaller(plan):
            if (result := fails(candidate)) is not None:
                plan, found, is_shrinking = candidate, result, True
                break
    print(f"the smallest that fails: python -m tests.faults --times 20 --plan '{plan.words}'")
    if found is not None:
        print(f"kept in {found.folder}:", *found.violations, sep="\n  ")
    bench.close()
