"""The mailer for asynchronous programs."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Self, Unpack

from mailer.api import opening
from mailer.api.asked import Asked, SendKeywords
from mailer.api.async_handle import AsyncHandle
from mailer.vocabulary.campaign import CampaignState, PausedBy
from mailer.vocabulary.errors import MailerError, UsageError

if TYPE_CHECKING:
    from mailer.api.campaign import Campaign
    from mailer.api.desk import Desk
    from mailer.api.report import AsyncReport
    from mailer.vocabulary.campaign import CampaignStatus

NO_SETTINGS: Mapping[str, object] = MappingProxyType({})


class AsyncMailer:
    """Puts campaigns into the queue and finds them there. Use it with `async with`."""

    def __init__(self, desk: "Desk") -> None:
        self._desk = desk

    @classmethod
    def from_env(
        cls,
        path: str | Path | None = None,
        *,
        env_file: str | Path | None = None,
        settings: Mapping[str, object] = NO_SETTINGS,
    ) -> Self:
        """A mailer with the settings of the environment and the configuration files, as every command has them.

        Args:
            path: A TOML file or a folder with `mailer.toml` (default: the current folder, where none need be).
            env_file: A `.env` file behind the environment.
            settings: Settings that win over all of them, by full key: `{"smtp.max_connections": 10}`.
        """
        return cls(opening.desk_of(path, env_file, settings))

    async def __aenter__(self) -> Self:
        await self._desk.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._desk.__aexit__(*error)

    async def enqueue(self, campaign: "Campaign", **asked: Unpack[SendKeywords]) -> AsyncHandle:
        """Accept the campaign once, or find it accepted; return when everything is stored.

        The keywords are those of `SendKeywords`, the flags of `mailer send`. No mail server need be known here: then
        the workers' own (`MAILER_SMTP_URL`) is used. With `stream=True` workers begin meanwhile, and where the list is
        longer than the queue may hold, this waits for them.

        Raises:
            MailerError: nothing was accepted. What an iterable of recipients raises comes out as it is, and nothing was
                accepted either (with `stream=True`, nothing after it).
        """
        self._desk.check_open()
        acceptance = self._desk.acceptance(campaign, Asked(**asked))
        return AsyncHandle(self._desk, (await acceptance.run()).campaign.id)

    async def send(self, campaign: "Campaign", **asked: Unpack[SendKeywords]) -> "AsyncReport":
        """Accept it, work the queue or watch the workers, and return the report; with `at` it does not wait.

        Raises:
            RelayError: no worker is running, and the relay does not take us; nothing was accepted.
            MailerError: as `enqueue`.
        """
        self._desk.check_open()
        acceptance = self._desk.acceptance(campaign, Asked(**asked))
        alone = await self._desk.try_first(acceptance)
        helping = asyncio.create_task(self._desk.help(acceptance)) if alone else None
        try:
            status = await acceptance.run()
        except MailerError:
            if helping is not None and helping.done():
                helping.result()
            raise
        finally:
            if helping is not None:
                helping.cancel()
                await asyncio.gather(helping, return_exceptions=True)
        handle = AsyncHandle(self._desk, status.campaign.id)
        await finish(handle, status, alone=alone)
        return await handle.report()

    async def campaign(self, campaign_id: str | None = None) -> AsyncHandle:
        """The campaign with this id, or an unambiguous beginning of it; without one the latest.

        Raises `UsageError` E109 when there is none.
        """
        found = await self._desk.find(campaign_id)
        if found is None:
            raise UsageError("E109", f"no campaign {campaign_id or 'yet'}", hint="mailer status   lists the ids")
        return AsyncHandle(self._desk, found)


async def finish(handle: AsyncHandle, status: "CampaignStatus", *, alone: bool) -> None:
    """Wait for a campaign that was just accepted, unless its time is still to come.

    One goes on where only the relay had paused it, which has answered now.
    """
    if status.state is CampaignState.SCHEDULED:
        return
    if alone and status.paused_by is PausedBy.SERVICE:
        await handle.resume()
    await handle._wait(None, tried=alone)
