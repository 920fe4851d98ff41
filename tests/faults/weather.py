"""The weather of a soak: a fault every few seconds, to the network, to the queue server, or to a worker."""

import asyncio
import random
import signal
import time
from collections import Counter

from tests.faults.crew import Crew, Member
from tests.faults.happenings import NOT_WRITABLE
from tests.faults.queue_server import QueueServer
from tests.faults.stage import LEASE_S
from tests.faults.steps import CutError, Moment, Step

KINDS = ("kill", "stop", "term", "kill_redis", "cut", "storm", "tarpit", *NOT_WRITABLE)
EVERY_S = (5.0, 20.0)
CUTS = 6
"""Connections that are cut one after the other."""


class Weather:
    """`hook` is for the relay. `upsets` counts what may leave messages in doubt, `faults` everything by its kind."""

    def __init__(self, queue: QueueServer, seed: int) -> None:
        self._queue = queue
        self._rng = random.Random(seed)
        self._cuts = 0
        self._storm_until = self._tar_until = 0.0
        self.faults: Counter[str] = Counter()
        self.kills = 0
        self.upsets = 0

    async def hook(self, moment: Moment) -> bytes | None:
        now = time.monotonic()
        if self._cuts and moment.step in (Step.BODY, Step.DOT, Step.FSYNCED):
            self._cuts -= 1
            self.upsets += 1
            raise CutError(reset=bool(self._cuts % 2))
        if now < self._tar_until and moment.step in (Step.DOT, Step.RCPT):
            await asyncio.sleep(0.5)
        if now < self._storm_until and moment.step in (Step.RCPT, Step.DOT):
            self.upsets += 1
            return b"421 4.3.2 closing\r\n"
        return None

    async def blow(self, crew: Crew, keeper: Member, until: float) -> None:
        """A fault every few seconds; each kind before any comes again, and the keeper is spared by those to workers."""
        waiting: list[str] = []
        while True:
            await asyncio.sleep(self._rng.uniform(*EVERY_S))
            if time.monotonic() > until:
                return
            waiting = waiting or self._rng.sample(KINDS, len(KINDS))
            kind = waiting.pop()
            self.faults[kind] += 1
            others = [member for member in crew.working if member is not keeper]
            await self._happen(kind, self._rng.choice(others) if others else None)

    async def _happen(self, kind: str, victim: Member | None) -> None:
        now = time.monotonic()
        match kind:
            case "kill" if victim is not None:
                self.kills += 1
                self.upsets += 1
                victim.send(signal.SIGKILL)
            case "stop" if victim is not None:
                self.upsets += 1
                victim.send(signal.SIGSTOP)
                await asyncio.sleep(2.5 * LEASE_S)
                victim.send(signal.SIGCONT)
            case "term" if victim is not None:
                victim.told_to_end += 1
                victim.send(signal.SIGTERM)
            case "kill_redis":
                self.kills += 1
                await asyncio.to_thread(self._queue.kill)
                await asyncio.sleep(self._rng.uniform(0.1, 1.5))
                await asyncio.to_thread(self._queue.start)
            case "cut":
                self._cuts = CUTS
            case "storm":
                self._storm_until = now + 2.0
            case "tarpit":
                self._tar_until = now + 3.0
            case "out_of_memory" | "no_replicas" | "read_only":
                for words in NOT_WRITABLE[kind]:
                    await asyncio.to_thread(self._queue.say, *words.split())
                    await asyncio.sleep(2.0)
