"""The hunt: plans for each mutant, and the table of what caught it."""

import asyncio
import os
import re
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tests.faults import mutants
from tests.faults.cancellation import mixed_up
from tests.faults.plans import Fault, Plan
from tests.faults.slots import carry_out
from tests.faults.steps import Step

SLOTS = 8
TIMES = 6
"""How often each plan is carried out at most; which of two workers is first is a matter of chance."""
_INVARIANT = re.compile(r"\d+ \w+")


def _fault(kind: str, step: Step, count: int = 2, *, for_s: float = 0.2, after_s: float = 0.0) -> Fault:
    return Fault(kind=kind, step=step, count=count, for_s=for_s, after_s=after_s)


def _plan(*faults: Fault, people: int = 4, chunk: int = 4, workers: int = 1, deadline_s: float = 8.0) -> Plan:
    return Plan(people=people, chunk=chunk, workers=workers, faults=faults, deadline_s=deadline_s)


def _asleep(step: Step, count: int = 2, *others: Fault, for_s: float = 2.6) -> Plan:
    """A worker stands still for longer than its lease, and goes on where it was."""
    plan = _plan(_fault("stop", step, count, for_s=for_s), *others, workers=2)
    return msgspec.structs.replace(plan, pipelining="off")


PLANS: dict[str, tuple[Plan, ...]] = {
    "m1": (_plan(),),
    "m2": (_plan(_fault("kill_worker", Step.FSYNCED)),),
    "m3": (_plan(_fault("cut", Step.BODY)),),
    # While it sleeps another one takes over, and is held up with the claim in its hand when the first wakes.
    "m4": tuple(_asleep(Step.MAIL, 1, _fault("tarpit", Step.DOT, 1, for_s=3.0), for_s=for_s) for for_s in (1.9, 2.3)),
    "m5": (_plan(_fault("kill_worker", Step.MAIL)),),
    "m7": (_plan(_fault("out_of_memory", Step.DOT, for_s=1.0), _fault("tarpit", Step.DOT, for_s=0.3)),),
    "m8": (_plan(deadline_s=2.0),),
    "m9": tuple(
        _plan(_fault("roll_back", Step.REPLIED, count, after_s=1.0), people=6, chunk=chunk)
        for count in (3, 4, 5)
        for chunk in (2, 6)
    ),
    # The one that remembers sleeps, for less than its lease, when the server comes back without it; the other is awake.
    "m10": tuple(
        _plan(
            _fault("roll_back", Step.REPLIED, count, after_s=1.0, for_s=0.05),
            _fault("stop", Step.REPLIED, count, for_s=0.7),
            people=6,
            chunk=chunk,
            workers=2,
        )
        for count in (3, 4, 5)
        for chunk in (3, 6)
    ),
    "m11": (_asleep(Step.MAIL),),
    "m12": (_plan(_fault("cut", Step.FSYNCED)),),
    # Whoever resumes a campaign hands in jobs for all chunks that are open, also for those that are being worked on.
    "m13": (_plan(_fault("pause", Step.DOT, 1), _fault("tarpit", Step.DOT, 1, for_s=1.5), workers=2),),
}
"""What each is caught with. As it is, the mailer must get through all of them."""


@dataclass(frozen=True, slots=True)
class Catch:
    """What caught a mutant, and after how long; `how` is empty when nothing did."""

    name: str
    how: str
    seconds: float

    @property
    def line(self) -> str:
        """A row of the table."""
        return f"{self.name:4} {'caught' if self.how else 'MISSED':6} {self.seconds:5.1f} s  {mutants.NAMES[self.name]}"


def catch_all() -> int:
    """Carry out the plans of each mutant until one of them notices it. Returns exit status."""
    started = time.monotonic()
    print(f"as it is, the mailer gets through {sum(map(len, PLANS.values()))} plans", end="", flush=True)
    honest = [told for told in carry_out(_each_once(), slots=SLOTS) if told.violations]
    for told in honest:
        print(f"\nNOT: {told.plan}", *told.violations, sep="\n  ")
    print(f" ({time.monotonic() - started:.0f} s)")
    catches = []
    for name in mutants.NAMES:
        catches.append(catch := find(name))
        print(f"{catch.line}\n       {catch.how}", flush=True)
    caught = sum(bool(catch.how) for catch in catches)
    print(f"{caught} of {len(catches)} mutants caught in {time.monotonic() - started:.0f} s")
    return 0 if caught == len(catches) and not honest else 1


def find(name: str) -> Catch:
    """See whether one mutant is noticed."""
    started = time.monotonic()
    if trouble := _cannot_become(name):
        print(trouble)
        return Catch(name, "", time.monotonic() - started)
    if name in mutants.IN_A_SESSION:
        how = _in_a_session(name)
        return Catch(name, how, time.monotonic() - started)
    for told in carry_out(_seeds(name), slots=SLOTS, mutant=name):
        for words in told.violations:
            # Only an invariant proves anything: a worker that cannot even start is no mutant.
            if _INVARIANT.match(words):
                return Catch(name, words, time.monotonic() - started)
    return Catch(name, "", time.monotonic() - started)


def _each_once() -> list[Plan]:
    return [plan for plans in PLANS.values() for plan in plans]


def _seeds(name: str) -> list[Plan]:
    return [msgspec.structs.replace(plan, seed=seed) for seed in range(TIMES) for plan in PLANS[name]]


def _cannot_become(name: str) -> str:
    """Why there is no such mutant any more; tried where it does no harm."""
    hear, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            mutants.become(name)
        except Exception:
            os.write(tell, traceback.format_exc(limit=-1).encode()[:4000])
        finally:
            os._exit(0)
    os.close(tell)
    with os.fdopen(hear, "rb") as words:
        said = words.read().decode()
    os.waitpid(pid, 0)
    return said


def _in_a_session(name: str) -> str:
    """The same for a mutant that shows where a send is cancelled; it stays one, so it is a fork that tries it."""
    hear, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            mutants.become(name)
            with tempfile.TemporaryDirectory() as folder:
                found = asyncio.run(mixed_up(Path(folder)))
            os.write(tell, "".join(f"7 mixed up: {words}\n" for words in found[:1]).encode())
        finally:
            os._exit(0)
    os.close(tell)
    with os.fdopen(hear, "rb") as words:
        said = words.read().decode().strip()
    os.waitpid(pid, 0)
    return said
