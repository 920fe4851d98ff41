"""The desk at the real queue: its ledger open, and a worker of our own where nobody else works."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

import structlog

from mailer.api.accepting import Acceptance, OpenedQueue
from mailer.api.clerks import Clerks
from mailer.api.desk import not_open
from mailer.backends.redis.connection import check_server, explained
from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from mailer.backends.redis.listening import Listener
from mailer.config.environment import with_env_file
from mailer.config.loading import load
from mailer.config.orders import missing_password
from mailer.config.queue import queue_url
from mailer.config.redis_url import redact
from mailer.config.route import certificates, route_of
from mailer.config.secrets import smtp_password
from mailer.logs import configure_own_log
from mailer.vocabulary.campaign import CampaignState
from mailer.vocabulary.errors import MailerError, UsageError
from mailer.worker.relay import try_relay
from mailer.worker.routes import way_of

if TYPE_CHECKING:
    from mailer.api.asked import Asked
    from mailer.api.campaign import Campaign
    from mailer.config.configuration import Configuration
    from mailer.interfaces.ledger import ControlLedger, ReportLedger
    from mailer.vocabulary.campaign import CampaignStatus
    from mailer.vocabulary.settings import QueueSettings
    from mailer.worker.own import OwnWorker

HELP_S = 0.5
"""Seconds between two looks at a campaign that is still being accepted."""


class QueueDesk:
    """Implements `api.desk.Desk`. What it is told at its making is read when it opens, not before."""

    look_s = 0.2

    def __init__(
        self, path: Path | None, environ: Mapping[str, str], env_file: Path | None, settings: Mapping[str, object]
    ) -> None:
        self._path = path
        self._given_environ = environ
        self._env_file = env_file
        self._settings = dict(settings)
        self._stack = AsyncExitStack()
        self._ledgers: Ledgers | None = None
        self._own: OwnWorker | None = None
        self._clerks: Clerks[OpenedQueue] | None = None
        self._hiring = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self.configuration, self.environ = self.configured(), with_env_file(self._given_environ, self._env_file)
        async with AsyncExitStack() as stack:
            # Starting the embedded server takes a moment, and blocks.
            url = await asyncio.to_thread(queue_url, self.configuration, self.environ)
            queue = self.configuration.queue
            clerks = Clerks(partial(_opened, self.configuration, self.environ), stay=True)
            stack.push_async_callback(clerks.leave)
            self._clerks = clerks
            self._ledgers = await stack.enter_async_context(open_ledgers(url, prefix=queue.prefix, lease_s=queue.lease))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self._stack.aclose()
        finally:
            self._ledgers = self._own = self._clerks = None

    @property
    def ledgers(self) -> Ledgers:
        """The open ledger. Raises `UsageError` E132 outside `async with`."""
        if self._ledgers is None:
            raise not_open()
        return self._ledgers

    def check_open(self) -> None:
        """Raises `UsageError` E132 outside `async with`."""
        if self._ledgers is None:
            raise not_open()

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Turn the queue server's errors into ours; never around code of the caller's."""
        with explained(redact(self.ledgers.url)):
            yield

    def configured(self) -> "Configuration":
        """The mailer's own settings."""
        return load(self._path, flags=self._settings, environ=self._given_environ, env_file=self._env_file)

    @property
    def reading(self) -> "ReportLedger":
        """The reader's side of the ledger."""
        return self.ledgers.reading

    @property
    def control(self) -> "ControlLedger":
        """The operator's side of the ledger."""
        return self.ledgers.control

    async def find(self, wanted: str | None) -> str | None:
        """The id of a campaign by an unambiguous beginning, or of the latest."""
        with self.explaining():
            return await self.ledgers.campaigns.find(wanted)

    def listener(self, campaign_id: str) -> Listener:
        """Somebody who has heard nothing of this campaign yet."""
        return Listener(self.ledgers.campaigns, campaign_id)

    def acceptance(self, campaign: "Campaign", asked: "Asked") -> Acceptance:
        """How this campaign goes into this mailer's queue. Raises `UsageError` for its settings."""
        environ = with_env_file(self._given_environ, self._env_file)
        configuration = campaign.configuration(self._given_environ, self._env_file, self._settings | asked.settings)
        own = self.configured()
        if _place(configuration.queue) != _place(own.queue):
            raise UsageError(
                "E101",
                "the campaign's file names another queue than this mailer uses",
                where=str(configuration.path),
                hint=f"AsyncMailer.from_env({str(configuration.path)!r})",
                safe="Nothing was accepted.",
            )
        return Acceptance(
            configuration=configuration,
            queue=own.queue,
            environ=environ,
            rows=campaign.rows,
            asked=asked,
            open_queue=partial(_opened, own, environ),
            # Theirs is the queue of this mailer as it was opened.
            clerks=self._clerks if self._clerks is not None and own.queue == self.configuration.queue else None,
        )

    async def is_alone(self) -> bool:
        """True when no worker has a heartbeat."""
        with self.explaining():
            return not await self.ledgers.fleet.alive()

    async def try_first(self, acceptance: Acceptance) -> bool:
        """Where nobody else works, try the relay before anything is accepted. True when we are alone.

        Raises:
            UsageError: E105 without a mail server, E113 without its password.
            RelayError: it cannot be reached, verified or logged in to.
        """
        if not await self.is_alone():
            return False
        smtp = acceptance.configuration.smtp
        route = route_of(smtp)
        password = await self._password() if route.user is not None else None
        if route.user is not None and password is None:
            raise missing_password(route.user)
        await try_relay(route, password, smtp)
        return True

    async def attend(self, status: "CampaignStatus", *, tried: bool = False) -> None:
        """See to it that somebody works on a running campaign: ourselves, when nobody else does.

        The worker stays until the desk is closed. Raises what `try_first` raises, and what ended our own worker.
        """
        async with self._hiring:
            if self._own is not None:
                self._own.check()
            elif _waits_for_work(status) and await self.is_alone():
                await self._hire(status, tried=tried)

    async def help(self, acceptance: Acceptance) -> None:
        """While a campaign is accepted that runs already, see to it that somebody works.

        What keeps us from working stops the accepting, too: nobody would ever make room in the queue.
        """
        while True:
            await asyncio.sleep(HELP_S)
            if acceptance.key is None:
                continue
            try:
                with self.explaining():
                    status = await self.ledgers.campaigns.by_key(acceptance.key)
                if status is not None:
                    await self.attend(status, tried=True)
            except MailerError:
                acceptance.stop()
                raise

    async def _hire(self, status: "CampaignStatus", *, tried: bool) -> None:
        # Imported here: a program that only stores campaigns needs neither arq nor the rest of a worker.
        from mailer.worker.own import OwnWorker, own_orders

        if not structlog.is_configured():
            # Unconfigured, structlog writes to stdout, which belongs to the program.
            configure_own_log("text", "warning")
        ca_file = self.configuration.smtp.ca_file
        orders = own_orders(
            self.configuration,
            self.environ,
            status.campaign,
            queue_url=self.ledgers.url,
            ca_pem=certificates(ca_file) if ca_file is not None else None,
            password=await self._password(),
        )
        smtp, way = way_of(status.campaign, orders)
        if not tried:
            await try_relay(way, orders.password, smtp)
        with self.explaining():
            self._own = await self._stack.enter_async_context(OwnWorker(orders))

    async def _password(self) -> str | None:
        # It may come from a command.
        return await asyncio.to_thread(smtp_password, self.environ)


@asynccontextmanager
async def _opened(configuration: "Configuration", environ: Mapping[str, str]) -> AsyncIterator[OpenedQueue]:
    """The queue, for a producer in another thread."""
    url, queue = queue_url(configuration, environ), configuration.queue
    with explained(redact(url)):
        async with open_ledgers(url, prefix=queue.prefix, lease_s=queue.lease) as ledgers:
            await check_server(ledgers.redis, ledgers.keys)
            yield OpenedQueue(ledgers.intake, ledgers.campaigns.find, partial(explained, redact(url)))


def _place(queue: "QueueSettings") -> tuple[object, ...]:
    return queue.url, queue.data_dir, queue.prefix


def _waits_for_work(status: "CampaignStatus") -> bool:
    """True when a worker has something to do: recipients, or the time at which a campaign begins to be awaited."""
    if status.state is CampaignState.SCHEDULED:
        return True
    return status.state is CampaignState.RUNNING and bool(status.totals.open)
