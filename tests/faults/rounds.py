"""One round: a plan is carried out, its faults happen, everything is started again, and what is left is checked."""

import asyncio
import contextlib
import random
import shutil
import signal
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from tests.faults.crew import Member
from tests.faults.invariants import Tally, check, tally
from tests.faults.plans import Fault, Plan
from tests.faults.queue_server import QueueServer
from tests.faults.stage import LEASE_S, PASSING, Stage
from tests.faults.steps import CutError, Moment
from tests.relays.certificates import Certificates

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

DEADLINE_S = 50.0
"""How long a round may take; most are over in two seconds."""
MOST_DEATHS = 50
TRAIL_ROOM = 4_000_000
NO = {"421": b"421 4.3.2 closing\r\n", "4xx": b"451 4.3.0 not now\r\n"}


@dataclass(slots=True)
class Result:
    """What came of a plan. `violations` is empty when everything held; `kills` are all deaths, failpoints included."""

    plan: Plan
    violations: list[str]
    tally: Tally
    kills: int
    seconds: float
    folder: Path | None = None


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

    async def carry_out(self, plan: Plan, *, mutant: str = "", deadline_s: float = DEADLINE_S) -> Result:
        """Carry out one plan. `deadline_s` is how long it may take until nobody is open any more."""
        if self.queue.trail_size > TRAIL_ROOM:
            self.queue.empty()
        return await _Round(self, plan, mutant, deadline_s).run()

    def close(self) -> None:
        """End the queue server and the nursery. What failed rounds have left behind stays."""
        self.queue.kill()
        self.nursery.close()
        shutil.rmtree(self.queue.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()


class Benches:
    """Several benches, so that plans are carried out side by side: most of a round is waiting for a lease to end."""

    def __init__(self, benches: "Iterable[Bench]") -> None:
        self._benches = list(benches)

    async def carry_out(
        self, plans: "Iterable[Plan]", *, mutant: str = "", deadline_s: float = DEADLINE_S
    ) -> list[Result]:
        """Carry out all of them; the results stand in their order."""
        free: asyncio.Queue[Bench] = asyncio.Queue()
        for bench in self._benches:
            free.put_nowait(bench)

        async def one(plan: Plan) -> Result:
            bench = await free.get()
            try:
                return await bench.carry_out(plan, mutant=mutant, deadline_s=deadline_s)
            finally:
                free.put_nowait(bench)

        return await asyncio.gather(*map(one, plans))


class _Round:
    def __init__(self, bench: Bench, plan: Plan, mutant: str, deadline_s: float) -> None:
        self._plan = plan
        self._deadline_s = deadline_s
        self._queue = bench.queue
        self._waiting = [fault for fault in plan.faults if fault.step is not None]
        self._tasks: set[asyncio.Task[None]] = set()
        self._rolls_back = any(fault.kind == "roll_back" for fault in plan.faults)
        self._sizes: list[tuple[float, int]] = []
        self._is_over = False
        self.kills = 0
        self._rng = random.Random(plan.seed)
        folder = bench.folder / f"round-{plan.seed}-{time.monotonic_ns()}"
        self._stage = Stage(
            plan, folder, bench.queue, bench.nursery, hook=self._hook, certificates=bench.certificates, mutant=mutant
        )
        self._ledgers: Ledgers | None = None

    async def run(self) -> Result:
        started = time.monotonic()
        stage, plan = self._stage, self._plan
        async with (
            stage,
            open_ledgers(self._queue.url, prefix=stage.mailing.prefix, lease_s=LEASE_S) as ledgers,
        ):
            self._ledgers = ledgers
            await self._produce()
            self._sizes.append((time.monotonic(), self._queue.trail_size))
            points = [fault.point for fault in plan.faults if fault.kind == "failpoint"]
            for number in range(plan.workers):
                await stage.worker(failpoints=points[number] if number < len(points) else "")
            for fault in plan.faults:
                if fault.step is None and fault.kind not in ("failpoint", "kill_producer"):
                    self._begin(self._later(fault))
            self._begin(self._watch())
            in_time = await stage.settled(ledgers, within=self._deadline_s)
            self._is_over = True
            await self._calm_down()
            if not in_time:
                in_time = await stage.settled(ledgers, within=0.1)
            await stage.dismiss()
            deaths = sum(member.status == -signal.SIGKILL for member in stage.crew.dead)
            stage.upsets += deaths
            evidence = await stage.evidence(ledgers, in_time=in_time)
            result = Result(plan, check(evidence), tally(evidence), self.kills + deaths, time.monotonic() - started)
            if result.violations:
                result.folder = stage.keep()
        return result

    async def _produce(self) -> None:
        stage = self._stage
        for fault in self._plan.faults:
            if fault.kind == "kill_producer":
                member = await stage.crew.producer(stage.mailing)
                await asyncio.sleep(fault.after_s)
                self._kill(member)
                await member.gone.wait()
        await asyncio.gather(*(stage.submit() for _ in range(self._plan.producers)))

    async def _hook(self, moment: Moment) -> bytes | None:
        reply = None
        for fault in [fault for fault in self._waiting if (fault.step, fault.count) == (moment.step, moment.count)]:
            self._waiting.remove(fault)
            if not self._is_over:
                reply = await self._happen(fault, moment) or reply
        return reply

    async def _later(self, fault: Fault) -> None:
        await asyncio.sleep(fault.after_s)
        if not self._is_over:
            await self._happen(fault, None)

    async def _happen(self, fault: Fault, moment: Moment | None) -> bytes | None:
        stage = self._stage
        match fault.kind:
            case "kill_worker":
                self._kill(self._victim(moment))
            case "kill_redis":
                self._kill_redis(fault.down_s)
            case "roll_back":
                self._roll_back(fault)
            case "term" | "term_twice":
                if (member := self._victim(moment)) is not None:
                    member.told_to_end += 1
                    member.send(signal.SIGTERM)
                    if fault.kind == "term_twice":
                        stage.upsets += 1
                        member.send(signal.SIGTERM)
            case "stop":
                if (member := self._victim(moment)) is not None:
                    stage.upsets += 1
                    member.send(signal.SIGSTOP)
                    self._begin(self._continue(member))
            case "cut" | "reset":
                stage.upsets += 1
                raise CutError(reset=fault.kind == "reset")
            case "421" | "4xx":
                # Who was cut off by a 421 before his message keeps his mark while he waits for another connection.
                stage.upsets += fault.kind == "421"
                return NO[fault.kind]
            case "tarpit":
                await asyncio.sleep(0.3)
            case "cannot_write":
                self._begin(self._full())
            case "pause" | "cancel":
                assert self._ledgers is not None
                control = self._ledgers.control
                with contextlib.suppress(*PASSING):
                    await (control.pause if fault.kind == "pause" else control.cancel)(stage.campaign_id, "by plan")
        return None

    def _victim(self, moment: Moment | None) -> Member | None:
        named = self._stage.crew.named(moment.client) if moment is not None else None
        working = self._stage.crew.working
        return named or (self._rng.choice(working) if working else None)

    def _kill(self, member: Member | None) -> None:
        if member is not None:
            member.send(signal.SIGKILL)

    def _kill_redis(self, down_s: float) -> None:
        if self._queue.is_running:
            self.kills += 1
            self._queue.kill()
            self._begin(self._restart(down_s))

    def _roll_back(self, fault: Fault) -> None:
        """End the queue server, and let it forget what it has written since."""
        if self._queue.is_running:
            then = time.monotonic() - fault.after_s
            least = max((size for at, size in self._sizes if at <= then), default=self._sizes[0][1])
            self._kill_redis(fault.down_s)
            self._queue.roll_back(self._rng.randint(least, self._queue.trail_size))
            self._stage.is_rolled_back = True
            self._stage.upsets += self._plan.workers

    async def _restart(self, down_s: float) -> None:
        await asyncio.sleep(down_s)
        await asyncio.to_thread(self._queue.start)

    async def _continue(self, member: Member) -> None:
        await asyncio.sleep(1.4 * LEASE_S)
        member.send(signal.SIGCONT)

    async def _full(self) -> None:
        """For half a second the queue server takes nothing."""
        for limit in ("1", "0"):
            with contextlib.suppress(*PASSING):  # or it is down, and has forgotten the limit when it comes back
                self._queue.say("CONFIG", "SET", "maxmemory", limit)
            await asyncio.sleep(0.5)

    async def _watch(self) -> None:
        """As a supervisor would: whoever has ended is replaced."""
        while not self._is_over:
            assert len(self._stage.crew.dead) < MOST_DEATHS, "workers end as soon as they begin; see their logs"
            if self._rolls_back and self._queue.is_running:
                self._sizes.append((time.monotonic(), self._queue.trail_size))
            if len(self._stage.crew.working) < self._plan.workers:
                await self._stage.worker()
            await asyncio.sleep(0.03)

    def _begin(self, work: "Coroutine[None, None, None]") -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _calm_down(self) -> None:
        """Every fault that has begun comes to its end."""
        while self._tasks:
            await asyncio.gather(*self._tasks)
