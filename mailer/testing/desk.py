"""The desk of a mailer in memory."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Self

import structlog

from mailer.api.accepting import Acceptance, OpenedQueue
from mailer.api.desk import not_open
from mailer.config.environment import with_env_file
from mailer.logs import configure_own_log

if TYPE_CHECKING:
    from mailer.api.asked import Asked
    from mailer.api.campaign import Campaign
    from mailer.backends.memory.control import MemoryControl
    from mailer.backends.memory.reading import MemoryListener, MemoryReading
    from mailer.testing.post import Post
    from mailer.vocabulary.campaign import CampaignStatus


class MemoryDesk:
    """Implements `api.desk.Desk`. Settings come from where they always come from; there is no queue and no server."""

    look_s = 0.0

    def __init__(
        self,
        post: "Post",
        path: str | Path | None,
        environ: Mapping[str, str],
        env_file: str | Path | None,
        settings: Mapping[str, object],
    ) -> None:
        self._post = post
        self._path = path
        self._environ = environ
        self._env_file = Path(env_file) if env_file is not None else None
        self._settings = dict(settings)
        self._is_open = False

    async def __aenter__(self) -> Self:
        if not structlog.is_configured():
            # Unconfigured, structlog writes to stdout, which belongs to the program.
            configure_own_log("text", "warning")
        self._is_open = True
        return self

    async def __aexit__(self, *error: object) -> None:
        self._is_open = False

    def check_open(self) -> None:
        """Raises `UsageError` E132 outside `async with`, as where there is a queue."""
        if not self._is_open:
            raise not_open()

    @property
    def reading(self) -> "MemoryReading":
        """The reader's side of the ledger."""
        self.check_open()
        return self._post.reading

    @property
    def control(self) -> "MemoryControl":
        """The operator's side of the ledger."""
        self.check_open()
        return self._post.control

    def explaining(self) -> AbstractContextManager[None]:
        """There is nothing to explain: only our own errors come out of it."""
        self.check_open()
        return nullcontext()

    async def find(self, wanted: str | None) -> str | None:
        """The id of a campaign by an unambiguous beginning, or of the latest."""
        self.check_open()
        return self._post.books.find(wanted)

    def listener(self, campaign_id: str) -> "MemoryListener":
        """Somebody who has heard nothing of this campaign yet."""
        self.check_open()
        return self._post.listener(campaign_id)

    def acceptance(self, campaign: "Campaign", asked: "Asked") -> Acceptance:
        """How this campaign is accepted: as everywhere."""
        configuration = campaign.configuration(self._environ, self._env_file, self._settings | asked.settings)
        return Acceptance(
            configuration=configuration,
            queue=configuration.queue,
            environ=with_env_file(self._environ, self._env_file),
            rows=campaign.rows,
            asked=asked,
            open_queue=self._opened,
        )

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[OpenedQueue]:
        # A connection of its own where there is a queue: a plain mailer need not be open for it.
        yield OpenedQueue(self._post.intake, self._find)

    async def _find(self, wanted: str | None) -> str | None:
        return self._post.books.find(wanted)

    async def try_first(self, acceptance: Acceptance) -> bool:
        """The relay is always there, and nobody else works."""
        self.check_open()
        return True

    async def attend(self, status: "CampaignStatus", *, tried: bool = False) -> None:
        """Do all the work."""
        self.check_open()
        await self._post.work(status.campaign.id)

    async def help(self, acceptance: Acceptance) -> None:
        """While a campaign is accepted that runs already, do its work."""
        self.check_open()
        while True:
            await asyncio.sleep(0.01)
            book = self._post.books.by_key(acceptance.key) if acceptance.key is not None else None
            if book is not None:
                await self._post.work(book.campaign.id)
