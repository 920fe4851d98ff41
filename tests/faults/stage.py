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

from mailer.backends.redis.chunk_parts import read_parts
from mailer.backends.redis.ledgers import Ledgers
from mailer.backends.redis.verification import verify
from mailer.config.orders import Orders
from mailer.vocabulary.campaign import Campaign, CampaignState, CampaignStatus
from mailer.vocabulary.errors import MailerError
from tests.faults.crew import Crew, Member
from tests.faults.invariants import Evidence
from tests.faults.mailing import PASSWORD, Mailing, submit
from tests.faults.plans import Plan
from tests.faults.queue_server import QueueServer
from tests.faults.sink import Sink
from tests.faults.steps import Hook, Step
from tests.faults.trail import Value, read_trail
from tests.relays.certificates import Certificates

LEASE_S = 1.0
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
            pipelining=plan.pipelining,
            certificates=certificates,
        )
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
        self._crew = Crew(self._nursery, self.folder)
        self.queue.say("FLUSHALL")
        self._trail_from = self.queue.trail_size
        self.mailing = Mailing(
            folder=str(self.folder),
            queue_url=self.queue.url,
            prefix=f"r{plan.seed}",
            port=self.sink.port,
            ca_pem=self.sink.certificates.ca_pem,
            people=plan.people,
            chunk=plan.chunk,
            connections=plan.connections,
            pipelining=plan.pipelining,
            body_bytes=plan.body_bytes,
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

    async def worker(self, *, failpoints: str = "") -> Member:
        """Start a worker."""
        orders = Orders(
            queue_url=self.queue.url, prefix=self.mailing.prefix, lease_s=LEASE_S, grace_s=5.0, password=PASSWORD
        )
        return await self.crew.worker(orders, failpoints=failpoints, mutant=self.mutant)

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
            await asyncio.sleep(0.06)
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
        campaign = self._campaign
        status = await ledgers.reading.status(campaign.id)
        records = [record async for record in ledgers.reading.records(campaign)]
        with self.queue.trail_file.open("rb") as file:
            file.seek(self._trail_from)
            written = file.read()
        return Evidence(
            status=status,
            records=records,
            taken=self.sink.log.read(),
            histories=await self._histories(ledgers, written),
            rows_read=self.mailing.rows,
            invalid=1,
            duplicate=1,
            recount=await verify(ledgers.redis, ledgers.keys, campaign.id),
            upsets=self.upsets,
            connections=self.plan.connections,
            in_time=in_time,
            left_behind=self.left_behind,
            is_rolled_back=self.is_rolled_back,
            texts={"the queue server": written} | {path.name: path.read_bytes() for path in self.folder.glob("*.log")},
            secrets=(PASSWORD,),
        )

    async def _histories(self, ledgers: Ledgers, written: bytes) -> dict[str, list[Value]]:
        """The trail by address: recipients stand in their chunks in the order of their rows."""
        assert self._campaign is not None
        base = ledgers.keys.base(self._campaign.id)
        trail = read_trail(written, base)
        found: dict[str, list[Value]] = {}
        chunks = sorted({chunk for chunk, _ in trail})
        for parts in await read_parts(ledgers.redis, base, chunks):
            for entry in (*parts.packed, *parts.unpacked):
                found[entry.email] = trail.get((parts.number, entry.index), [])
        return found
