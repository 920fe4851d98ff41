"""One worker process, started by a supervisor: orders come in on stdin, the counts go out on stdout at the end.

When stdin closes the supervisor is gone, and the worker drains as on SIGTERM.
"""

import asyncio
import gc
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import IO

import structlog

from mailer.config.orders import Orders, read_orders
from mailer.logs import configure_logs
from mailer.vocabulary.errors import MailerError
from mailer.worker.event_loop import new_event_loop
from mailer.worker.process import WorkerProcess

log = structlog.get_logger("mailer.worker")


async def run(orders: Orders) -> Counter[str]:
    """Work until a signal, until the supervisor is gone, or in a burst until nothing is left to do."""
    loop = asyncio.get_running_loop()
    log.info("worker begins", loop=type(loop).__module__.partition(".")[0])
    worker = WorkerProcess(orders)
    stops = 0

    def stop() -> None:
        nonlocal stops
        stops += 1
        (worker.stop if stops == 1 else worker.stop_now)()

    # Before the first heartbeat: from then on others count on this worker, and on its taking leave.
    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    async with worker, _end_of(sys.stdin, worker.stop):
        # What the libraries have made lives as long as the process. Looked through again and again for rubbish, it
        # would hold up a message for twenty milliseconds.
        gc.collect()
        gc.freeze()
        await worker.run(worker.campaigns.is_idle if orders.burst else None)
        return worker.counts


@asynccontextmanager
async def _end_of(pipe: IO[str], then: Callable[[], None]) -> AsyncIterator[None]:
    """Call something when the other side of a pipe is closed."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )

    async def watch() -> None:
        await reader.read()
        then()

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        transport.close()


def main() -> int:
    """Entry point of `python -m mailer.worker`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    orders = read_orders(sys.stdin.buffer.readline())
    configure_logs(orders.log_format, orders.log_level)
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            counts = runner.run(run(orders))
    except MailerError as error:
        print(json.dumps({"error": error.to_dict(), "exit_code": error.exit_code}))
        return error.exit_code
    print(json.dumps({"counts": counts}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
