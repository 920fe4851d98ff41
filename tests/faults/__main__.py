"""`python -m tests.faults`: random plans by the thousand, and what they came to in one line.

    python -m tests.faults --rounds 10000            seeds 0 to 9999
    python -m tests.faults --seed 4711               one of them again, with all that is known of it
    python -m tests.faults --plan '{"people":3,...}'  a plan as a failure has printed it
    python -m tests.faults --mutants                 every deliberately wrong variant must be caught

Exit status: 0 when everything held, 1 when not.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

os.environ.setdefault("MAILER_FAILPOINTS", "")

from tests.faults import mutants, nursery
from tests.faults.cancellation import mixed_up
from tests.faults.invariants import Tally
from tests.faults.plans import Plan, random_plan, read_plan, smaller
from tests.faults.rounds import Bench, Result
from tests.faults.slots import carry_out, scratch
from tests.relays.certificates import good

SHRINKING_S = 120.0


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--slots", type=int, default=8 * (os.cpu_count() or 2))
    parser.add_argument("--seed", type=int)
    parser.add_argument("--plan")
    parser.add_argument("--times", type=int, default=1, help="how often a single plan is carried out")
    parser.add_argument("--mutant", default="", choices=["", *mutants.NAMES])
    parser.add_argument("--mutants", action="store_true")
    asked = parser.parse_args()
    if asked.mutants:
        return _catch_all(asked.slots)
    if asked.plan or asked.seed is not None:
        plan = read_plan(asked.plan) if asked.plan else random_plan(asked.seed)
        return _again(plan, asked.times, asked.mutant)
    return _many(range(asked.first, asked.first + asked.rounds), asked.slots, asked.mutant)


def _many(seeds: range, slots: int, mutant: str) -> int:
    started, figures, kills, failed = time.monotonic(), Counter[str](), 0, []
    for done, told in enumerate(carry_out(seeds, slots=slots, mutant=mutant), 1):
        figures.update(told.figures)
        kills += told.kills
        if told.violations:
            failed.append(told.seed)
            print(f"seed {told.seed} ({told.folder}):", *told.violations, sep="\n  ", flush=True)
        if done % 500 == 0:
            print(f"{done} rounds, {done / (time.monotonic() - started):.1f}/s", file=sys.stderr, flush=True)
    seconds = time.monotonic() - started
    print(f"{Tally(figures).line} kills={kills} seeds={seeds.start}-{seeds.stop - 1} seconds={seconds:.0f}")
    if failed:
        _shrink(random_plan(min(failed)), mutant)
    return 1 if failed else 0


def _again(plan: Plan, times: int, mutant: str) -> int:
    """Carry out one plan, and tell everything."""
    print(plan.words)
    bad = 0
    bench = Bench(scratch(), nursery.forked(), good())
    for _ in range(times):
        result = asyncio.run(bench.carry_out(plan, mutant=mutant))
        print(result.tally.line, f"kills={result.kills} seconds={result.seconds:.2f}")
        if result.violations:
            bad += 1
            print(f"kept in {result.folder}:", *result.violations, sep="\n  ")
    print(f"{bad} of {times} failed")
    bench.close()
    return 1 if bad else 0


def _shrink(plan: Plan, mutant: str) -> None:
    """Find a plan with less in it that fails, too, and print it."""
    bench = Bench(scratch(), nursery.forked(), good())
    deadline = time.monotonic() + SHRINKING_S

    def fails(candidate: Plan) -> Result | None:
        for _ in range(4):
            if time.monotonic() > deadline:
                return None
            result = asyncio.run(bench.carry_out(candidate, mutant=mutant))
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
    print(f"replay: python -m tests.faults --times 20 --plan '{plan.words}'")
    if found is not None:
        print(f"kept in {found.folder}:", *found.violations, sep="\n  ")
    bench.close()


def _catch_all(slots: int) -> int:
    """Carry out plans with each mutant until one of them notices it."""
    missed = []
    for name in mutants.NAMES:
        if name in mutants.IN_A_SESSION:
            continue
        for told in carry_out(range(400), slots=slots, mutant=name):
            if told.violations:
                print(f"caught {name}: {mutants.NAMES[name]} - seed {told.seed}: {told.violations[0]}", flush=True)
                break
        else:
            missed.append(name)
            print(f"MISSED {name}: {mutants.NAMES[name]}", flush=True)
    for name in mutants.IN_A_SESSION:
        mutants.become(name)
        with tempfile.TemporaryDirectory() as folder:
            found = asyncio.run(mixed_up(Path(folder)))
        print(f"{'caught' if found else 'MISSED'} {name}: {mutants.NAMES[name]} - {(found or [''])[0]}", flush=True)
        missed += [] if found else [name]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
