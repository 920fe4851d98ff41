"""The soak: one fleet under steady load for minutes, a fault every few seconds, and what that has cost in the end."""

import asyncio
import random
import signal
import socket
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from mailer.config.orders import Orders
from mailer.vocabulary.campaign import Campaign, CampaignState
from mailer.worker.event_loop import new_event_loop
from tests.faults import nursery
from tests.faults.acceptance import Taken
from tests.faults.crew import Crew, Member
from tests.faults.gathering import gathered
from tests.faults.invariants import Tally, check, tally
from tests.faults.mailing import PASSWORD, Mailing, submit
from tests.faults.queue_server import QueueServer
from tests.faults.sink import Sink
from tests.faults.slots import scratch
from tests.faults.stage import LEASE_S, PASSING
from tests.faults.steps import Step
from tests.faults.trail import read_trails
from tests.faults.vitals import Vitals
from tests.faults.weather import Weather
from tests.relays.certificates import good

WORKERS = 3
CONNECTIONS = 2
PEOPLE = 30
EVERY_S = 1.0
"""A campaign of so many begins every so many seconds."""
WARM_UP_S = 10.0
PATIENCE_S = 90.0
"""How long everything may take to end when nothing goes wrong any more."""
SPARE = CONNECTIONS + 4
"""Descriptors that a process may hold more than at the start: its pooled connections, to the relay and to the queue."""
GROWTH = 1.10


def soak(seconds: float, seed: int = 0) -> int:
    """Soak for so many seconds, and tell what came of it. Returns exit status."""
    folder = scratch()
    queue = QueueServer(folder / "q")
    queue.empty()
    nurse = nursery.forked()
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(_Soak(folder, queue, seed).run(nurse, seconds))
    finally:
        queue.kill()
        nurse.close()


@dataclass(slots=True)
class _Begun:
    mailing: Mailing
    campaign: Campaign


class _Soak:
    def __init__(self, folder: Path, queue: QueueServer, seed: int) -> None:
        self._folder = folder
        self._queue = queue
        self._rng = random.Random(seed)
        self._weather = Weather(queue, seed)
        self._begun: list[_Begun] = []
        self._is_over = False
        self._crew: Crew
        self._sink: Sink

    async def run(self, nurse: socket.socket, seconds: float) -> int:
        """Warm up, soak, let everything end, and look."""
        certificates = good()
        async with (
            Sink(
                self._folder / "accepted", hook=self._weather.hook, password=PASSWORD, certificates=certificates
            ) as self._sink,
            open_ledgers(self._queue.url, prefix="soak", lease_s=LEASE_S) as ledgers,
        ):
            self._crew = Crew(nurse, self._folder)
            try:
                keeper = await self._worker()
                watching = asyncio.create_task(self._replace())
                await self._load(WARM_UP_S)
                in_time = await self._settled(ledgers)
                vitals = {"worker": Vitals(keeper.pid), "supervisor": Vitals()}
                for each in vitals.values():
                    each.begin()
                started = time.monotonic()
                harming = asyncio.create_task(self._weather.blow(self._crew, keeper, started + seconds))
                measuring = asyncio.create_task(_measure(list(vitals.values())))
                await self._load(seconds)
                await harming
                measuring.cancel()
                in_time = await self._settled(ledgers) and in_time
                for each in vitals.values():
                    await each.end(SPARE)
                self._is_over = True
                await watching
                is_alive = not keeper.gone.is_set()
                left_behind = await self._dismissed()
                return await self._verdict(ledgers, vitals, in_time and is_alive, left_behind, started)
            finally:
                self._crew.close()

    async def _worker(self) -> Member:
        return await self._crew.worker(
            Orders(queue_url=self._queue.url, prefix="soak", lease_s=LEASE_S, grace_s=5.0, password=PASSWORD)
        )

    async def _replace(self) -> None:
        """As a supervisor would: whoever has ended is replaced."""
        while not self._is_over:
            if len(self._crew.working) < WORKERS:
                await self._worker()
            await self._crew.changed(within=0.3)

    async def _load(self, seconds: float) -> None:
        """A campaign a second, for so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            begun_at, number = time.monotonic(), len(self._begun)
            mailing = Mailing(
                folder=str(self._folder / f"c{number}"),
                queue_url=self._queue.url,
                prefix="soak",
                port=self._sink.port,
                ca_pem=self._sink.certificates.ca_pem,
                people=PEOPLE,
                first=number * PEOPLE,
                key=f"c{number}",
                chunk=10,
                connections=CONNECTIONS,
            )
            mailing.write()
            refused, greylisted, *_ = self._rng.sample(mailing.addresses(), 2)
            self._sink.sticky[Step.RCPT, refused] = b"550 5.1.1 no such user here\r\n"
            self._sink.script[Step.RCPT, greylisted] = deque([b"450 4.2.0 greylisted, come again\r\n"])
            while True:
                try:
                    done = await submit(mailing)
                except PASSING:
                    await asyncio.sleep(0.1)
                else:
                    break
            self._begun.append(_Begun(mailing, done.status.campaign))
            await asyncio.sleep(max(0.0, begun_at + EVERY_S - time.monotonic()))

    async def _settled(self, ledgers: Ledgers) -> bool:
        """Wait until every campaign has ended, with a word for those that something has paused."""
        deadline, open_ones = time.monotonic() + PATIENCE_S, list(self._begun)
        while open_ones and time.monotonic() < deadline:
            with suppress(*PASSING):
                for begun in list(open_ones):
                    status = await ledgers.reading.status(begun.campaign.id)
                    if status.state is CampaignState.PAUSED:
                        await ledgers.control.resume(begun.campaign.id)
                    elif status.state is CampaignState.FINISHED and not status.totals.open:
                        open_ones.remove(begun)
            await asyncio.sleep(0.2)
        return not open_ones

    async def _dismissed(self) -> list[str]:
        """Let every worker end in order; returns those that did not."""
        for member in self._crew.alive:
            member.told_to_end += 1
            member.send(signal.SIGTERM)
        left = []
        for member in self._crew.alive:
            try:
                async with asyncio.timeout(10):
                    await member.gone.wait()
            except TimeoutError:
                left.append(f"{member.name} does not end")
        return left

    async def _verdict(
        self, ledgers: Ledgers, vitals: dict[str, Vitals], in_time: bool, left_behind: list[str], started: float
    ) -> int:
        """Check every campaign, and print everything."""
        written, taken = self._queue.written(), self._sink.log.read()
        trails = read_trails(written)
        texts = {"the queue server": written} | {path.name: path.read_bytes() for path in self._folder.glob("*.log")}
        figures: Counter[str] = Counter()
        bad: list[str] = []
        for number, begun in enumerate(self._begun):
            own = frozenset(begun.mailing.addresses())
            evidence = await gathered(
                ledgers,
                begun.campaign,
                begun.mailing,
                taken=Taken(
                    [entry for entry in taken.accepted if entry.recipient in own],
                    [entry for entry in taken.denied if entry.recipient in own],
                ),
                trail=trails[ledgers.keys.base(begun.campaign.id)],
                upsets=self._weather.upsets,
                in_time=in_time,
                left_behind=left_behind,
                # Each text once is enough: they are those of the whole soak.
                texts=texts if number == 0 else {},
            )
            figures.update(tally(evidence).figures)
            bad += [f"campaign {number}: {words}" for words in check(evidence)]
        print(f"{Tally(figures).line} kills={self._weather.kills} campaigns={len(self._begun)}", end=" ")
        print(f"seconds={time.monotonic() - started:.0f}")
        print("faults:", ", ".join(f"{kind} {count}" for kind, count in sorted(self._weather.faults.items())))
        if figures["in_doubt"] > self._weather.upsets * CONNECTIONS:
            bad.append(f"6 in doubt: {figures['in_doubt']} in all, after {self._weather.upsets} upsets")
        for name, each in vitals.items():
            print(each.line(name, SPARE, GROWTH))
            bad += each.troubles(name, SPARE, GROWTH)
        print(*(bad or ["everything holds"]), sep="\n")
        return 1 if bad else 0


async def _measure(vitals: list[Vitals]) -> None:
    while True:
        for each in vitals:
            each.look()
        await asyncio.sleep(1.0)
