"""One worker process, started by a supervisor: orders come in on stdin, the counts go out on stdout at the end.

When stdin closes the supervisor is gone, and the worker drains as on SIGTERM.
"""

import asyncio
import json
import signal
import sys
from collections import Counter

from mailer.config.orders import Orders, read_orders
from mailer.logs import configure_logs
from mailer.vocabulary.errors import MailerError
from mailer.worker.process import WorkerProcess


async def run(orders: Orders) -> Counter[str]:
    """Work until a signal, until the supervisor is gone, or in a burst until nothing is left to do."""
    loop = asyncio.get_running_loop()
    async with WorkerProcess(orders) as worker:
        stops = 0

        def stop() -> None:
            nonlocal stops
            stops += 1
            (worker.stop if stops == 1 else worker.stop_now)()

        loop.add_signal_handler(signal.SIGTERM, stop)
        loop.add_signal_handler(signal.SIGINT, lambda: None)
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        orphaned = asyncio.create_task(reader.read())
        orphaned.add_done_callback(lambda _: worker.stop())
        await worker.run(worker.campaigns.is_idle if orders.burst else None)
        orphaned.remove_done_callback(lambda _: worker.stop())
        orphaned.cancel()
        return worker.counts


def main() -> int:
    """Entry point of `python -m mailer.worker`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    orders = read_orders(sys.stdin.buffer.readline())
    configure_logs(orders.log_format, orders.log_level)
    try:
        counts = asyncio.run(run(orders))
    except MailerError as error:
        print(json.dumps({"error": error.to_dict(), "exit_code": error.exit_code}))
        return error.exit_code
    print(json.dumps({"counts": counts}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
