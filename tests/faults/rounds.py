"""One round: a plan is carried out, its faults happen, everything is started again, and what is left is checked."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mailer.backends.redis.ledgers import open_ledgers
from tests.faults.happenings import Happenings
from tests.faults.invariants import Tally, check, tally
from tests.faults.io_errors import MARK
from tests.faults.plans import Plan
from tests.faults.queue_server import QueueServer
from tests.faults.stage import LEASE_S, Stage
from tests.relays.certificates import Certificates

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_DEATHS = 100
BIRTH_S = 0.05
"""From one birth to the next: whoever finds no queue server ends at once."""
ABANDONED_S = 5.0
TRAIL_ROOM = 4_000_000


@dataclass(slots=True)
class Result:
    """What came of a plan. `violations` is empty when everything held; `kills` are all deaths, failpoints included."""

    plan: Plan
    violations: list[str]
    tally: Tally
    kills: int
    seconds: float
    folder: Path | None = None
    was_broken: bool = False
    """An `io_error` has come to pass."""


@dataclass(slots=True)
class Bench:
    """Where rounds are carried out one after the other: a queue server, and a nursery."""

    folder: Path
    nursery: socket.socket
    certificates: Certificates
    queue: QueueServer = field(init=False)

    def __post_init__(self) -> None:
        self.queue = QueueServer(self.folder / "q")
        self.queue.empty()

    async def carry_out(self, plan: Plan, *, mutant: str = "") -> Result:
        """Carry out one plan."""
        if self.queue.trail_size > TRAIL_ROOM:
            self.queue.empty()
        return await _Round(self, plan, mutant).run()

    def close(self) -> None:
        """End the queue server and the nursery. What failed rounds have left behind stays."""
        self.queue.kill()
        self.nursery.close()
        shutil.rmtree(self.queue.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def abandon(self) -> None:
        """The same without a lock, for a process that ends wherever it stands and has no other children."""
        self.nursery.close()
        self.queue.abandon()
        # Whoever does not end soon is left to end by himself.
        deadline = time.monotonic() + ABANDONED_S
        with contextlib.suppress(ChildProcessError):
            while time.monotonic() < deadline:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    time.sleep(0.01)
        shutil.rmtree(self.queue.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()


class Benches:
    """Several benches, so that plans are carried out side by side: most of a round is waiting for a lease to end."""

    def __init__(self, benches: "Iterable[Bench]") -> None:
        self._benches = list(benches)

    async def carry_out(self, plans: "Iterable[Plan]", *, mutant: str = "") -> list[Result]:
        """Carry out all of them; the results stand in their order."""
        free: asyncio.Queue[Bench] = asyncio.Queue()
        for bench in self._benches:
            free.put_nowait(bench)

        async def one(plan: Plan) -> Result:
            bench = await free.get()
            try:
                return await bench.carry_out(plan, mutant=mutant)
            finally:
                free.put_nowait(bench)

        return await asyncio.gather(*map(one, plans))


class _Round:
    def __init__(self, bench: Bench, plan: Plan, mutant: str) -> None:
        self._plan = plan
        self._happenings = Happenings(plan, bench.queue)
        folder = bench.folder / f"round-{plan.seed}-{time.monotonic_ns()}"
        self._stage = self._happenings.stage = Stage(
            plan,
            folder,
            bench.queue,
            bench.nursery,
            hook=self._happenings.hook,
            certificates=bench.certificates,
            mutant=mutant,
        )

    async def run(self) -> Result:
        started = time.monotonic()
        stage, plan, happenings = self._stage, self._plan, self._happenings
        async with (
            stage,
            open_ledgers(stage.queue.url, prefix=stage.mailing.prefix, lease_s=LEASE_S) as ledgers,
        ):
            happenings.ledgers = ledgers
            await self._produce()
            points, errors = _points(plan, "failpoint"), _points(plan, "io_error")
            stage.upsets += len(errors)
            for _ in range(plan.workers):
                await stage.worker(failpoints=points.pop() if points else "", io_error=errors.pop() if errors else "")
            happenings.begin()
            watching = asyncio.create_task(self._watch())
            in_time = await stage.settled(ledgers, within=plan.deadline_s)
            if in_time and await happenings.operate():
                in_time = await stage.settled(ledgers, within=plan.deadline_s)
            await happenings.end()
            await watching
            if not in_time:
                in_time = await stage.settled(ledgers, within=0.1)
            await stage.dismiss()
            deaths = sum(member.status == -signal.SIGKILL for member in stage.crew.dead)
            stage.upsets += deaths
            evidence = await stage.evidence(ledgers, in_time=in_time)
            kills = happenings.kills + deaths
            result = Result(plan, check(evidence), tally(evidence), kills, time.monotonic() - started)
            result.was_broken = any(MARK.encode() in text for text in evidence.texts.values())
            if result.violations:
                result.folder = stage.keep()
        return result

    async def _produce(self) -> None:
        stage = self._stage
        for fault in self._plan.faults:
            if fault.kind == "kill_producer":
                member = await stage.crew.producer(stage.mailing, failpoints=fault.point)
                if not fault.point:
                    await asyncio.sleep(fault.after_s)
                    member.send(signal.SIGKILL)
                await member.gone.wait()
        await asyncio.gather(*(stage.submit() for _ in range(self._plan.producers)))

    async def _watch(self) -> None:
        """As a supervisor would: whoever has ended is replaced."""
        crew = self._stage.crew
        rolls_back = any(fault.kind == "roll_back" for fault in self._plan.faults)
        points = _points(self._plan, "successor_failpoint")
        while not self._happenings.is_over:
            assert len(crew.dead) < MOST_DEATHS, "workers end as soon as they begin; see their logs"
            if rolls_back:
                self._happenings.note_size()
            if len(crew.working) < self._plan.workers:
                await self._stage.worker(failpoints=points.pop() if points else "")
                await asyncio.sleep(BIRTH_S)
            await crew.changed(within=0.03 if rolls_back else 0.2)


def _points(plan: Plan, kind: str) -> list[str]:
    return [fault.point for fault in plan.faults if fault.kind == kind]
