"""The same worker under arq's own command line: one process, no supervisor."""

import os
from typing import Any

from mailer.backends.redis.jobs import worker_settings
from mailer.backends.redis.keys import Keys
from mailer.config.loading import load
from mailer.config.orders import Orders, orders_of
from mailer.config.queue import queue_url
from mailer.logs import configure_own_log
from mailer.vocabulary.errors import MailerError
from mailer.worker.reading import CHUNKS_AT_ONCE
from mailer.worker.under_arq import UnderArq, complain


def _read_orders() -> Orders:
    try:
        configuration = load(None, environ=os.environ)
        return orders_of(configuration, os.environ, queue_url=queue_url(configuration, os.environ))
    except MailerError as error:
        raise SystemExit(complain(error)) from None


configure_own_log("text", "warning")
_orders = _read_orders()
_worker = UnderArq(_orders)

WorkerSettings: dict[str, Any] = {
    **worker_settings(
        _orders.queue_url,
        Keys(_orders.prefix).queue,
        _worker.work,
        chunks_at_once=CHUNKS_AT_ONCE,
        wait_s=int(_orders.grace_s),
    ),
    "on_startup": _worker.start,
    "on_shutdown": _worker.stop,
}
"""What `arq worker.WorkerSettings` reads."""
