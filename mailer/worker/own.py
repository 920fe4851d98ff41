"""The worker inside a program that only wanted to send: what it is told, and its life beside the program's own work."""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Self

import msgspec

from mailer.config.orders import orders_of
from mailer.worker.process import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailer.backends.smtp.transcript import Keep
    from mailer.config.configuration import Configuration
    from mailer.config.orders import Orders
    from mailer.vocabulary.campaign import Campaign


def own_orders(
    configuration: "Configuration",
    environ: "Mapping[str, str]",
    campaign: "Campaign",
    *,
    queue_url: str,
    ca_pem: str | None,
    logs: tuple[Literal["text", "json"], str] = ("text", "warning"),
    password: str | None = None,
) -> "Orders":
    """The orders of a worker that runs for the sake of one campaign.

    It takes whatever is queued, so the mail server named here must not become the one of other campaigns. It does only
    where this campaign was accepted with another one than is named now.
    """
    orders = orders_of(configuration, environ, queue_url=queue_url, logs=logs, password=password)
    if campaign.smtp == replace(configuration.smtp, ca_file=None) and campaign.ca_pem == ca_pem:
        return msgspec.structs.replace(orders, smtp={}, ca_pem=None)
    return orders


class OwnWorker:
    """A worker in the running event loop, from `async with` to its end, where it drains."""

    def __init__(self, orders: "Orders", *, transcript: "Keep | None" = None) -> None:
        self._process = WorkerProcess(orders, transcript=transcript)
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._process.__aenter__()
        self._running = asyncio.create_task(self._process.run())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._process.stop()
        try:
            if self._running is not None:
                await self._running
        finally:
            await self._process.__aexit__(*error)

    def check(self) -> None:
        """Raise what ended the worker, if anything did."""
        if self._running is not None and self._running.done():
            self._running.result()
