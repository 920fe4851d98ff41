"""`python -m tests.faults`: faults by the thousand, and what they came to in one line.

    python -m tests.faults --kills 10000             random rounds, until so many processes have been killed
    python -m tests.faults --rounds 500              so many random rounds, seeds 0 to 499
    python -m tests.faults --seed 4711               one of them again, with all that is known of it
    python -m tests.faults --plan '{"people":3,...}'  a plan as a failure has printed it
    python -m tests.faults --mutants                 every deliberately wrong variant must be caught
    python -m tests.faults --soak 15                 one fleet under steady load for so many minutes

A kill is one SIGKILL that has ended a worker, a producer or the queue server at a moment that the seed has chosen: at a
step that the relay saw, at a place in our own code, or at a time. All other faults come on top and are not counted.

Exit status: 0 when everything held, 1 when not.
"""

import argparse
import os
import sys

os.environ.setdefault("MAILER_FAILPOINTS", "")

from tests.faults import mutants
from tests.faults.hunt import catch_all
from tests.faults.plans import random_plan, read_plan
from tests.faults.series import repeat, run_series
from tests.faults.soak import soak

SLOTS = 8
"""For each core: most of a round is waiting for a lease to end."""


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=0, help="as many rounds as it takes to so many kills")
    parser.add_argument("--rounds", type=int, default=100, help="so many rounds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--slots", type=int, default=SLOTS * (os.cpu_count() or 2), help="rounds side by side")
    parser.add_argument("--seed", type=int, help="the plan of this seed")
    parser.add_argument("--plan", help="a plan as it is printed")
    parser.add_argument("--times", type=int, default=1, help="how often a single plan is carried out")
    parser.add_argument("--mutant", default="", choices=["", *mutants.NAMES], help="be wrong in this way")
    parser.add_argument("--mutants", action="store_true", help="see that each of them is caught")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="one fleet, a fault every 5 to 20 seconds")
    asked = parser.parse_args()
    if asked.mutants:
        return catch_all()
    if asked.soak:
        return soak(60 * asked.soak, asked.first)
    if asked.plan or asked.seed is not None:
        plan = read_plan(asked.plan) if asked.plan else random_plan(asked.seed)
        return repeat(plan, asked.times, asked.mutant)
    return run_series(asked.first, rounds=asked.rounds, kills=asked.kills, slots=asked.slots, mutant=asked.mutant)


if __name__ == "__main__":
    sys.exit(main())
