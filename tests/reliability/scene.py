"""The scene of a fault: a ledger, a relay that knows the truth, workers, and the books to be right afterwards."""

import asyncio
import secrets
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from mailer.backends.redis.chunk_parts import read_parts
from mailer.backends.redis.entries import Entry
from mailer.backends.redis.ledgers import Ledgers
from mailer.backends.redis.verification import verify
from mailer.config.orders import Orders
from mailer.vocabulary.campaign import Campaign, CampaignState, CampaignStatus
from mailer.vocabulary.chunk import Draft
from mailer.vocabulary.recipient import State
from mailer.vocabulary.report import RecipientRecord
from mailer.vocabulary.settings import DeliverySettings, SmtpSettings
from mailer.worker.process import WorkerProcess
from tests.faults.mailing import Mailing
from tests.faults.sink import Sink
from tests.faults.steps import Hook, Moment, Step
from tests.ledger.campaigns import checked, records, running
from tests.relays.certificates import Certificates, good
from tests.servers import until

USER, PASSWORD = "sender", "canary-Kq9xL2"
LEASE_S = 0.6
SOON = (0.02,)
"""Whoever is deferred is due again almost at once."""


class Scene:
    """`sink` is the relay. What it has taken, it has written down before it said so; `books` compares everything.

    A hook of the test is `on_step`. Workers in the loop share the test's process; `child` starts real ones.
    """

    def __init__(self, ledgers: Ledgers, folder: Path, *, certificates: Certificates | None = None) -> None:
        self.ledgers = ledgers
        self.folder = folder
        self.on_step: Hook | None = None
        self.sink = Sink(folder / "accepted", hook=self._hook, password=PASSWORD, certificates=certificates or good())
        self.steps: list[Moment] = []

    async def __aenter__(self) -> Self:
        await self.sink.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.sink.__aexit__(*error)

    async def _hook(self, moment: Moment) -> bytes | None:
        self.steps.append(moment)
        return await self.on_step(moment) if self.on_step is not None else None

    async def hang_up(self) -> None:
        """The relay closes every connection, idle or not."""
        for task in list(self.sink._tasks):
            task.cancel()
        await self.sink.quiet()

    async def restart(self) -> None:
        """The relay is started again, at the same port; what it has taken it has."""
        assert self.sink._server is not None
        self.sink._server.close()
        await self.hang_up()
        await self.sink.__aenter__()

    def answers(self, step: Step, *replies: bytes, to: str = "") -> None:
        """Say these, each once and in this order, at this step (to this address)."""
        self.sink.script.setdefault((step, to), deque()).extend(replies)

    def always_answers(self, step: Step, reply: bytes, *, to: str = "") -> None:
        """Say this every time."""
        self.sink.sticky[step, to] = reply

    async def submit(
        self,
        people: Iterable[str],
        *,
        chunk: int = 100,
        delivery: DeliverySettings | None = None,
        port: int | None = None,
        body: bytes = b"Hello again.\r\n",
        ca_pem: str | None = None,
        copies: bool = False,
        **smtp: Any,
    ) -> Campaign:
        """Put a message to each of these people into the queue. `smtp` are settings of the relay.

        With `copies` they are the recipients of one message.
        """
        drafts = [
            Draft(row=row, email=email, content=b"To: %s\r\nX-Marker: %s\r\n\r\n%s" % (*[email.encode()] * 2, body))
            for row, email in enumerate(people, 1)
        ]
        if copies:
            drafts = [replace(draft, row=1, content=drafts[0].content, by_row=draft.row > 1) for draft in drafts]
        settings: dict[str, Any] = {
            "url": f"smtp+starttls://{USER}@localhost:{port or self.sink.port}",
            "max_connections": 1,
            "local_hostname": "client.test",
            "connect_timeout": 5.0,
            "command_timeout": 5.0,
            "reply_timeout": 5.0,
            **smtp,
        }
        return await running(
            self.ledgers,
            *(drafts[start : start + chunk] for start in range(0, len(drafts), chunk)),
            smtp=SmtpSettings(**settings),
            delivery=delivery or DeliverySettings(retry_delays=SOON),
            ca_pem=ca_pem or self.sink.certificates.ca_pem,
            id=f"news-{secrets.token_hex(3)}",
        )

    def orders(self, **changes: Any) -> Orders:
        """What a worker of this scene is told."""
        told: dict[str, Any] = {"lease_s": LEASE_S, "grace_s": 5.0, "password": PASSWORD} | changes
        return Orders(queue_url=self.ledgers.url, prefix=self.ledgers.keys.prefix, **told)

    @asynccontextmanager
    async def at_work(self, **changes: Any) -> AsyncIterator[WorkerProcess]:
        """A worker in this loop, until the end of the block, where it drains."""
        async with WorkerProcess(self.orders(**changes)) as worker:
            working = asyncio.create_task(worker.run())
            try:
                yield worker
            finally:
                worker.stop()
                await working

    async def worked_off(self, *campaigns: Campaign, within: float = 10.0) -> None:
        """Let one worker work until these campaigns are finished."""
        async with self.at_work():
            for campaign in campaigns:
                await self.finished(campaign, within=within)

    async def status(self, campaign: Campaign) -> CampaignStatus:
        """Where it stands."""
        return await self.ledgers.reading.status(campaign.id)

    def mailing(self, people: int, **changes: Any) -> Mailing:
        """The same for a producer in another process: a folder with list and template, and where all is."""
        mailing = Mailing(
            **{
                "folder": str(self.folder / "mailing"),
                "queue_url": self.ledgers.url,
                "prefix": self.ledgers.keys.prefix,
                "port": self.sink.port,
                "ca_pem": self.sink.certificates.ca_pem,
                "people": people,
                **changes,
            }
        )
        mailing.write()
        return mailing

    async def finished(self, campaign: Campaign, *, within: float = 10.0) -> None:
        """Wait until nobody of it is open any more."""
        await self.holds(campaign, lambda status: status.state is CampaignState.FINISHED, within=within)

    async def holds(
        self, campaign: Campaign, condition: Callable[[CampaignStatus], bool], *, within: float = 10.0
    ) -> None:
        """Wait until its status is so."""

        async def now() -> bool:
            return condition(await self.status(campaign))

        await until(now, within=within)

    async def hurry(self, campaign: Campaign) -> None:
        """Let a rest that was ordered be over: the clock of the queue server is nobody's to turn."""
        due = self.ledgers.keys.base(campaign.id) + "due"
        for chunk in await self.ledgers.redis.zrange(due, 0, -1):
            await self.ledgers.redis.eval("redis.call('ZADD', KEYS[1], 'XX', 1, ARGV[1])", 1, due, chunk)

    @property
    def given(self) -> Counter[str]:
        """How many messages the relay took for whom."""
        return Counter(entry.recipient for entry in self.sink.log.read().accepted)

    def seen(self, step: Step) -> int:
        """How often the relay came to this step."""
        return self.sink.counts[step]

    async def entries(self, campaign: Campaign) -> list[Entry]:
        """Everybody with his whole history, in the order of the rows."""
        base = self.ledgers.keys.base(campaign.id)
        chunks = int(await self.ledgers.redis.hget(base + "c", "chunks") or 0)
        parts = await read_parts(self.ledgers.redis, base, range(chunks))
        return sorted((entry for part in parts for entry in (*part.packed, *part.unpacked)), key=lambda one: one.row)

    async def unburned(self, campaign: Campaign) -> None:
        """Everybody waits, nobody has been tried, and the campaign runs."""
        status = await self.status(campaign)
        assert status.state is CampaignState.RUNNING
        assert status.totals.queued == status.totals.accepted
        assert {record.attempts for record in (await self.books(campaign)).values()} == {0}

    async def books(self, campaign: Campaign, *, resent: Iterable[str] = ()) -> dict[str, RecipientRecord]:
        """Everybody by address, after comparing the ledger with itself and with what the relay knows.

        Raises AssertionError where somebody is lost, has two messages, is called what he is not, or a password shows.
        """
        await checked(self.ledgers, campaign)
        assert await verify(self.ledgers.redis, self.ledgers.keys, campaign.id) == []
        found = {record.email: record for record in await records(self.ledgers, campaign)}
        taken, given, again = self.sink.log.read(), self.given, Counter(resent)
        for email, record in found.items():
            most = 1 + again[email]
            least = 1 if record.state is State.SENT else 0
            if record.state not in (State.SENT, State.IN_DOUBT, State.SENDING):
                most = again[email]
            assert least <= given[email] <= most, f"{email} is {record.state}, and was given {given[email]} times"
            said = {(entry.code, entry.text) for entry in taken.denied if entry.recipient == email}
            assert record.state is not State.REFUSED or (record.code, record.words) in said, (record, said)
        assert all({entry.to, entry.marker} == {entry.recipient} for entry in taken.accepted)
        assert (await self.status(campaign)).totals.add_up
        return found


def at(step: Step, do: Callable[[Moment], None], *, count: int = 1) -> Hook:
    """Do this when the relay comes to the step for the so-manieth time."""

    async def hook(moment: Moment) -> bytes | None:
        if (moment.step, moment.count) == (step, count):
            do(moment)
        return None

    return hook


def states(found: dict[str, RecipientRecord]) -> list[State]:
    """What the books say of everybody, in the order of the rows."""
    return [record.state for record in found.values()]
