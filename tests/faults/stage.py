"""The stage: queue server, relay, producer and workers of one round, and the evidence that is left at its end."""

import asyncio
import shutil
import signal
import socket
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from redis.exceptions import RedisError

from mailer.backends.redis.ledgers import Ledgers
from mailer.config.orders import Orders
from mailer.vocabulary.campaign import Campaign, CampaignState, CampaignStatus
from mailer.vocabulary.errors import MailerError
from tests.faults.crew import Crew, Member
from tests.faults.gathering import gathered
from tests.faults.invariants import Evidence
from tests.faults.mailing import PASSWORD, Mailing, submit
from tests.faults.plans import Fault, Plan
from tests.faults.proxy import Harm, Proxy
from tests.faults.queue_server import QueueServer
from tests.faults.sink import Sink
from tests.faults.steps import Hook, Step
from tests.faults.trail import read_trails
from tests.relays.certificates import Certificates

LEASE_S = 1.0
LOOK_S = 0.12
PASSING = (RedisError, OSError, MailerError)
REFUSAL = b"550 5.1.1 no such user here\r\n"
GREYLIST = b"450 4.2.0 greylisted, come again\r\n"
CONTENT_REFUSAL = b"554 5.6.0 not with this content\r\n"


class Stage:
    """Everything of one round. The queue server and the nursery are lent, and outlive it."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        queue: QueueServer,
        nursery: socket.socket,
        *,
        hook: Hook,
        certificates: Certificates | None = None,
        mutant: str = "",
    ) -> None:
        self.plan = plan
        self.folder = folder
        self.queue = queue
        self.mutant = mutant
        self.upsets = 0
        self.is_rolled_back = False
        self.left_behind: list[str] = []
        self._nursery = nursery
        folder.mkdir(parents=True, exist_ok=True)
        self.sink = Sink(
            folder / "accepted",
            hook=hook,
            password=PASSWORD,
            pipelining=plan.pipelining != "off",
            certificates=certificates,
        )
        self._proxy: Proxy | None = None
        self._crew: Crew | None = None
        self._campaign: Campaign | None = None
        self._trail_from = 0
        self._is_kept = False
        self.mailing = Mailing(
            folder=str(folder), queue_url=queue.url, prefix=f"r{plan.seed}", port=0, ca_pem="", people=plan.people
        )

    async def __aenter__(self) -> Self:
        plan = self.plan
        await self.sink.__aenter__()
        cuts = [fault for fault in plan.faults if fault.kind == "cut_stream"]
        if cuts:
            self._proxy = await Proxy(self.sink.port, planned=dict(map(_planned, cuts))).__aenter__()
            self.upsets += len(cuts)
        self._crew = Crew(self._nursery, self.folder)
        self.queue.say("FLUSHALL")
        self._trail_from = self.queue.trail_size
        self.mailing = Mailing(
            folder=str(self.folder),
            queue_url=self.queue.url,
            prefix=f"r{plan.seed}",
            port=self._proxy.listens_on if self._proxy is not None else self.sink.port,
            ca_pem=self.sink.certificates.ca_pem,
            people=plan.people,
            chunk=plan.chunk,
            connections=plan.connections,
            pipelining=plan.pipelining,
            body_bytes=plan.body_bytes,
            on_doubt=plan.on_doubt,
        )
        self.mailing.write()
        names = self.mailing.addresses()
        for who in plan.refused:
            self.sink.sticky[Step.RCPT, names[who]] = REFUSAL
        for who in plan.greylisted:
            self.sink.script[Step.RCPT, names[who]] = deque([GREYLIST])
        for who in plan.refused_at_dot:
            self.sink.sticky[Step.DOT, names[who]] = CONTENT_REFUSAL
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.crew.close()
        if self._proxy is not None:
            await self._proxy.__aexit__()
        await self.sink.__aexit__()
        if exc is None and not self._is_kept:
            shutil.rmtree(self.folder, ignore_errors=True)

    def keep(self) -> Path:
        """Leave logs, acceptance log and a copy of the trail behind. Returns where."""
        self._is_kept = True
        shutil.copy(self.queue.trail_file, self.folder / "trail.aof")
        return self.folder

    @property
    def campaign_id(self) -> str:
        """The campaign, once it is accepted."""
        assert self._campaign is not None
        return self._campaign.id

    @property
    def crew(self) -> Crew:
        """The processes."""
        assert self._crew is not None
        return self._crew

    async def worker(self, *, failpoints: str = "", io_error: str = "") -> Member:
        """Start a worker."""
        orders = Orders(
            queue_url=self.queue.url, prefix=self.mailing.prefix, lease_s=LEASE_S, grace_s=5.0, password=PASSWORD
        )
        return await self.crew.worker(orders, failpoints=failpoints, io_error=io_error, mutant=self.mutant)

    async def submit(self) -> Campaign:
        """Accept the mailing, however often it has to be tried."""
        while True:
            try:
                done = await submit(self.mailing)
            except PASSING:
                await asyncio.sleep(0.05)
            else:
                self._campaign = done.status.campaign
                return done.status.campaign

    async def settled(self, ledgers: Ledgers, *, within: float) -> bool:
        """Wait until nobody is open any more. False when that takes too long."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            with suppress(*PASSING):
                status = await self.status(ledgers)
                if status.state in (CampaignState.FINISHED, CampaignState.CANCELLED) and not status.totals.open:
                    return True
                if status.state is CampaignState.PAUSED:
                    await ledgers.control.resume(status.campaign.id)
            await asyncio.sleep(LOOK_S)
        return False

    async def status(self, ledgers: Ledgers) -> CampaignStatus:
        """Where the campaign stands."""
        assert self._campaign is not None
        return await ledgers.reading.status(self._campaign.id)

    async def dismiss(self) -> None:
        """Let every worker end in order."""
        for member in self.crew.alive:
            member.told_to_end += 1
            member.send(signal.SIGCONT)
            member.send(signal.SIGTERM)
        for member in self.crew.alive:
            try:
                async with asyncio.timeout(8):
                    await member.gone.wait()
            except TimeoutError:
                self.left_behind.append(f"{member.name} does not end")
                member.send(signal.SIGKILL)

    async def evidence(self, ledgers: Ledgers, *, in_time: bool) -> Evidence:
        """What is left, when nobody works any more."""
        assert self._campaign is not None
        written = self.queue.written(self._trail_from)
        return await gathered(
            ledgers,
            self._campaign,
            self.mailing,
            taken=self.sink.log.read(),
            trail=read_trails(written)[ledgers.keys.base(self._campaign.id)],
            upsets=self.upsets,
            in_time=in_time,
            left_behind=self.left_behind,
            is_rolled_back=self.is_rolled_back,
            texts={"the queue server": written} | {path.name: path.read_bytes() for path in self.folder.glob("*.log")},
        )


def _planned(fault: Fault) -> tuple[int, tuple[Harm, Harm]]:
    harm = Harm(cut_after=fault.byte)
    return fault.count, (harm, Harm()) if fault.direction == "up" else (Harm(), harm)
