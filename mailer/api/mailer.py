"""The mailer for plain programs."""

import asyncio
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from mailer.api import opening
from mailer.api.asked import Asked, SendKeywords
from mailer.api.async_handle import AsyncHandle
from mailer.api.async_mailer import NO_SETTINGS, AsyncMailer, finish
from mailer.api.handle import Handle
from mailer.api.portal import Portal, refuse_inside_a_loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailer.api.campaign import Campaign
    from mailer.api.desk import Desk
    from mailer.api.report import Report

T = TypeVar("T")


class Mailer:
    """Puts campaigns into the queue and finds them there. `with` keeps it open; without, every call opens it anew.

    A worker that had to be started lives as long as it is open, in a thread of its own.
    """

    def __init__(self, desk: "Desk") -> None:
        self._desk = desk
        self._portal: Portal | None = None

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

    def __enter__(self) -> Self:
        refuse_inside_a_loop("Mailer", "async with AsyncMailer.from_env() as mailer: …")
        portal = Portal().__enter__()
        try:
            portal.call(self._desk.__aenter__())
        except BaseException:
            portal.__exit__()
            raise
        self._portal = portal
        return self

    def __exit__(self, *_: object) -> None:
        portal, self._portal = self._portal, None
        if portal is not None:
            try:
                portal.call(self._desk.__aexit__())
            finally:
                portal.__exit__()

    @contextmanager
    def opened(self) -> Iterator[Portal]:
        """This mailer open, for one call if it was not. Raises `UsageError` E131 inside an event loop."""
        refuse_inside_a_loop("this call", "use AsyncMailer and AsyncHandle")
        if self._portal is not None:
            yield self._portal
            return
        with self:
            assert self._portal is not None  # noqa: S101 (just opened)
            yield self._portal

    def call(self, work: "Callable[[Desk], Coroutine[Any, Any, T]]") -> T:
        """Do something at the desk."""
        with self.opened() as portal:
            return portal.call(work(self._desk))

    def enqueue(self, campaign: "Campaign", **asked: Unpack[SendKeywords]) -> Handle:
        """Accept the campaign once, or find it accepted; return when everything is stored. As `AsyncMailer.enqueue`."""
        refuse_inside_a_loop("Mailer.enqueue()", "await AsyncMailer.enqueue(campaign)")
        acceptance = self._desk.acceptance(campaign, Asked(**asked))
        # In the caller's thread, to which a database cursor among the recipients belongs.
        return Handle(self, asyncio.run(acceptance.run()).campaign.id)

    def send(self, campaign: "Campaign", **asked: Unpack[SendKeywords]) -> "Report":
        """Accept it, work the queue or watch the workers, and return the report. As `AsyncMailer.send`."""
        with self.opened() as portal:
            acceptance = self._desk.acceptance(campaign, Asked(**asked))
            alone = portal.call(self._desk.try_first(acceptance))
            with portal.beside(self._desk.help(acceptance) if alone else None):
                status = asyncio.run(acceptance.run())
            handle = AsyncHandle(self._desk, status.campaign.id)
            portal.call(finish(handle, status, alone=alone))
            return Handle(self, handle.id).report()

    def campaign(self, campaign_id: str | None = None) -> Handle:
        """The campaign with this id, or an unambiguous beginning of it; without one the latest. Raises E109."""
        return Handle(self, self.call(lambda desk: AsyncMailer(desk).campaign(campaign_id)).id)
