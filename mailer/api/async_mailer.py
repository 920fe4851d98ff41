"""The mailer for asynchronous programs."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

from mailer.api.async_handle import AsyncHandle
from mailer.api.desk import Desk
from mailer.vocabulary.campaign import PausedBy
from mailer.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from mailer.api.campaign import Campaign
    from mailer.api.report import AsyncReport

NO_SETTINGS: Mapping[str, object] = MappingProxyType({})


class AsyncMailer:
    """Puts campaigns into the queue and finds them there. Use it with `async with`."""

    def __init__(self, desk: Desk) -> None:
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
        return cls(desk_of(path, env_file, settings))

    async def __aenter__(self) -> Self:
        await self._desk.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._desk.__aexit__(*error)

    async def enqueue(
        self, campaign: "Campaign", *, skip_bad: bool = False, key: str | None = None, smtp_url: str | None = None
    ) -> AsyncHandle:
        """Accept the campaign once, or find it accepted; return when everything is stored.

        No mail server need be known here: then the workers' own (`MAILER_SMTP_URL`) is used. `skip_bad` makes rows that
        cannot be built `failed` instead of refusing all; `key` and `smtp_url` win over the campaign's own.

        Raises:
            MailerError: nothing was accepted. What an iterable of recipients raises comes out as it is, and nothing was
                accepted either.
        """
        _ = self._desk.ledgers
        acceptance = self._desk.acceptance(campaign, skip_bad=skip_bad, key=key, smtp_url=smtp_url)
        return AsyncHandle(self._desk, (await acceptance.run()).campaign.id)

    async def send(
        self, campaign: "Campaign", *, skip_bad: bool = False, key: str | None = None, smtp_url: str | None = None
    ) -> "AsyncReport":
        """Accept it, work the queue or watch the workers, and return the report.

        Raises:
            RelayError: no worker is running, and the relay does not take us; nothing was accepted.
            MailerError: as `enqueue`.
        """
        _ = self._desk.ledgers
        acceptance = self._desk.acceptance(campaign, skip_bad=skip_bad, key=key, smtp_url=smtp_url)
        alone = await self._desk.try_first(acceptance)
        status = await acceptance.run()
        handle = AsyncHandle(self._desk, status.campaign.id)
        await finish(handle, alone=alone, paused_by=status.paused_by)
        return await handle.report()

    async def campaign(self, campaign_id: str | None = None) -> AsyncHandle:
        """The campaign with this id, or an unambiguous beginning of it; without one the latest.

        Raises `UsageError` E109 when there is none.
        """
        with self._desk.explaining():
            found = await self._desk.ledgers.campaigns.find(campaign_id)
        if found is None:
            raise UsageError("E109", f"no campaign {campaign_id or 'yet'}", hint="mailer status   lists the ids")
        return AsyncHandle(self._desk, found)


async def finish(handle: AsyncHandle, *, alone: bool, paused_by: PausedBy | None) -> None:
    """Wait for a campaign that was just accepted; go on where only the relay had paused it, which has answered now."""
    if alone and paused_by is PausedBy.SERVICE:
        await handle.resume()
    await handle._wait(None, tried=alone)


def desk_of(path: str | Path | None, env_file: str | Path | None, settings: Mapping[str, object]) -> Desk:
    """A desk with the settings of this process."""
    return Desk(
        Path(path) if path is not None else None,
        dict(os.environ),
        Path(env_file) if env_file is not None else None,
        settings,
    )
