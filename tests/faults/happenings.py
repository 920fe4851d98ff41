"""Happenings: the faults of a plan, each made to come true at its moment."""

import asyncio
import contextlib
import random
import signal
import time
from typing import TYPE_CHECKING

from mailer.vocabulary.acts import Resolution, Selection
from mailer.vocabulary.recipient import State
from tests.faults.crew import Member
from tests.faults.plans import Fault, Plan
from tests.faults.queue_server import QueueServer
from tests.faults.stage import PASSING, Stage
from tests.faults.steps import CutError, Moment

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from mailer.backends.redis.ledgers import Ledgers

NO = {
    "421": b"421 4.3.2 closing\r\n",
    "4xx": b"451 4.3.0 not now\r\n",
    "5xx": b"550 5.1.1 nobody of that name\r\n",
}
NOT_WRITABLE = {
    "out_of_memory": ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
    "no_replicas": ("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0"),
    "read_only": ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
}
"""How a queue server is made to refuse all writes, and to take them again."""
BY_OPERATOR = ("retry", "resolve")
BEFORE_WORK = ("failpoint", "successor_failpoint", "io_error", "kill_producer", "cut_stream")
"""What is arranged before the workers begin."""


class Happenings:
    """Makes faults happen until `end`, and then lets every one that has begun come to its own."""

    def __init__(self, plan: Plan, queue: QueueServer) -> None:
        self._plan = plan
        self._queue = queue
        self._rng = random.Random(plan.seed)
        self._waiting = [fault for fault in plan.faults if fault.step is not None]
        self._tasks: set[asyncio.Task[None]] = set()
        self._sizes: list[tuple[float, int]] = []
        self.stage: Stage
        self.ledgers: Ledgers
        self.kills = 0
        """How often the queue server was killed."""
        self.is_over = False

    def begin(self) -> None:
        """From now on: what has its time, not its step."""
        self.note_size()
        for fault in self._plan.faults:
            if fault.step is None and fault.kind not in BEFORE_WORK:
                self._start(self._later(fault))

    async def end(self) -> None:
        """Nothing more happens, and what has begun comes to its end."""
        self.is_over = True
        while self._tasks:
            await asyncio.gather(*self._tasks)

    def note_size(self) -> None:
        """Keep how long the trail was when: a rollback forgets a time, not a number of bytes."""
        if self._queue.is_running:
            self._sizes.append((time.monotonic(), self._queue.trail_size))

    async def hook(self, moment: Moment) -> bytes | None:
        """What the relay is to say at this step, after everything that happens at it."""
        reply = None
        for fault in [fault for fault in self._waiting if (fault.step, fault.count) == (moment.step, moment.count)]:
            self._waiting.remove(fault)
            if not self.is_over:
                reply = await self._happen(fault, moment) or reply
        return reply

    async def operate(self) -> bool:
        """The operator looks at a mailing that has ended: True when he has set something going again."""
        kinds = [fault.kind for fault in self._plan.faults if fault.kind in BY_OPERATOR]
        for kind in kinds:
            await self._act(kind)
        return bool(kinds)

    async def _later(self, fault: Fault) -> None:
        await asyncio.sleep(fault.after_s)
        if not self.is_over:
            await self._happen(fault, None)

    async def _happen(self, fault: Fault, moment: Moment | None) -> bytes | None:
        stage = self.stage
        match fault.kind:
            case "kill_worker":
                if (member := self._victim(moment)) is not None:
                    member.send(signal.SIGKILL)
            case "kill_redis":
                self._kill_redis(fault.for_s)
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
                    self._start(self._continue(member, fault.for_s))
            case "cut" | "reset":
                stage.upsets += 1
                raise CutError(reset=fault.kind == "reset")
            case "421" | "4xx" | "5xx":
                # Who was cut off by a 421 before his message keeps his mark while he waits for another connection.
                stage.upsets += fault.kind == "421"
                return NO[fault.kind]
            case "tarpit":
                await asyncio.sleep(fault.for_s)
            case "out_of_memory" | "no_replicas" | "read_only":
                self._start(self._refuse_writes(fault))
            case "pause" | "cancel":
                control = self.ledgers.control
                with contextlib.suppress(*PASSING):
                    await (control.pause if fault.kind == "pause" else control.cancel)(stage.campaign_id, "by plan")
            case "retry" | "resolve":
                await self._act(fault.kind)
        return None

    def _victim(self, moment: Moment | None) -> Member | None:
        named = self.stage.crew.named(moment.client) if moment is not None else None
        working = self.stage.crew.working
        return named or (self._rng.choice(working) if working else None)

    def _kill_redis(self, for_s: float) -> None:
        if self._queue.is_running:
            self.kills += 1
            self._queue.kill()
            self._start(self._restart(for_s))

    def _roll_back(self, fault: Fault) -> None:
        """End the queue server, and let it forget what it has written since."""
        if self._queue.is_running:
            then = time.monotonic() - fault.after_s
            least = max((size for at, size in self._sizes if at <= then), default=self._sizes[0][1])
            self._kill_redis(fault.for_s)
            self._queue.roll_back(self._rng.randint(least, self._queue.trail_size))
            self.stage.is_rolled_back = True
            self.stage.upsets += self._plan.workers

    async def _restart(self, for_s: float) -> None:
        await asyncio.sleep(for_s)
        await asyncio.to_thread(self._queue.start)

    async def _continue(self, member: Member, for_s: float) -> None:
        await asyncio.sleep(for_s)
        member.send(signal.SIGCONT)

    async def _refuse_writes(self, fault: Fault) -> None:
        for words in NOT_WRITABLE[fault.kind]:
            with contextlib.suppress(*PASSING):  # or it is down, and has forgotten it when it comes back
                await asyncio.to_thread(self._queue.say, *words.split())
            await asyncio.sleep(fault.for_s)

    async def _act(self, kind: str) -> None:
        """The operator decides about those in doubt: all of them again, or each as he thinks."""
        control, campaign_id = self.ledgers.control, self.stage.campaign_id
        with contextlib.suppress(*PASSING):
            if kind == "retry":
                await control.retry(campaign_id, Selection(states=frozenset({State.IN_DOUBT})))
                return
            campaign = (await self.ledgers.reading.status(campaign_id)).campaign
            records = [record async for record in self.ledgers.reading.records(campaign)]
            for record in records:
                if record.state is State.IN_DOUBT:
                    await control.resolve(campaign_id, [record.email], self._rng.choice(tuple(Resolution)))

    def _start(self, work: "Coroutine[None, None, None]") -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
