"""The same worker under arq's own command line: one process, arq's signals and exit codes, no supervisor."""

import os
from typing import Any

from mailer.backends.redis.jobs import worker_settings
from mailer.backends.redis.keys import Keys
from mailer.config.loading import load
from mailer.config.orders import orders_of
from mailer.config.queue import queue_url
from mailer.logs import configure_own_log
from mailer.worker.process import CHUNKS_AT_ONCE, WorkerProcess

_PROCESS = "mailer"


async def _start(ctx: dict[str, Any]) -> None:
    process = WorkerProcess(_orders)
    ctx[_PROCESS] = await process.__aenter__()
    process.heal()


async def _stop(ctx: dict[str, Any]) -> None:
    process: WorkerProcess = ctx[_PROCESS]
    process.stop()
    await process.__aexit__(None, None, None)


async def _work(ctx: dict[str, Any], campaign_id: str, chunk: int) -> None:
    process: WorkerProcess = ctx[_PROCESS]
    await process.work(ctx, campaign_id, chunk)


configure_own_log("text", "warning")
_configuration = load(None, environ=os.environ)
_orders = orders_of(_configuration, os.environ, queue_url=queue_url(_configuration, os.environ))

WorkerSettings: dict[str, Any] = {
    **worker_settings(
        _orders.queue_url,
        Keys(_orders.prefix).queue,
        _work,
        chunks_at_once=CHUNKS_AT_ONCE,
        wait_s=int(_orders.grace_s),
    ),
    "on_startup": _start,
    "on_shutdown": _stop,
}
"""What `arq worker.WorkerSettings` reads."""
