"""`mailer worker`: worker processes under a supervisor."""

import asyncio
import signal
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import structs

from mailer.backends.redis.connection import check_server
from mailer.cli.invocation import duration
from mailer.cli.opening import open_queue, read_setting
from mailer.config.orders import orders_of
from mailer.vocabulary.recipient import State
from mailer.worker.supervisor import Supervisor

if TYPE_CHECKING:
    from mailer.backends.redis.ledgers import Ledgers
    from mailer.cli.invocation import Invocation

INTERRUPTED, STILL_QUEUED = 130, 5


async def work(invocation: "Invocation", *, processes: int, connections: int | None, burst: bool, grace: str) -> int:
    """Run workers until a signal, or in a burst until nothing is queued or due."""
    from mailer.logs import configure_logs

    configure_logs(*invocation.logs)
    grace_s = duration("--grace", grace)
    flags = {"smtp.max_connections": connections}
    setting = read_setting(invocation, flags=flags)
    async with open_queue(setting) as ledgers:
        # Running workers wait for a server that goes away; one that is not there at the start is a wrong address.
        await check_server(ledgers.redis, ledgers.keys)
        orders = orders_of(
            setting.configuration,
            setting.environ,
            queue_url=ledgers.url,
            grace_s=grace_s,
            burst=burst,
            logs=invocation.logs,
        )
        # Whoever is started later, in place of one that died, must not begin a new ledger in a void.
        identity = await ledgers.redis.get(ledgers.keys.identity)
        orders = structs.replace(orders, ledger=(identity or b"").decode())
        supervisor = Supervisor(orders, processes)
        signals = _listen(supervisor)
        invocation.say(f"{processes} worker process{'es' if processes > 1 else ''}; Ctrl-C drains")
        await supervisor.run()
        if burst or invocation.as_json:
            await _tell(invocation, ledgers, supervisor)
        if signal.SIGINT in signals or len(signals) > 1:
            return INTERRUPTED
        is_done = (burst and not signals) or await ledgers.campaigns.is_idle()
        return 0 if is_done else STILL_QUEUED


def _listen(supervisor: Supervisor) -> list[int]:
    """Drain on the first signal, end on the second. The list fills with the signals that come."""
    loop = asyncio.get_running_loop()
    heard: list[int] = []

    def stop(number: int) -> None:
        heard.append(number)
        supervisor.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    return heard


async def _tell(invocation: "Invocation", ledgers: "Ledgers", supervisor: Supervisor) -> None:
    due_ms = None
    for campaign_id in await ledgers.campaigns.live():
        status = await ledgers.campaigns.status(campaign_id)
        if status.next_due_ms is not None:
            due_ms = min(due_ms or status.next_due_ms, status.next_due_ms)
    counts = {state.value: supervisor.counts[state] for state in _TOLD}
    next_due = datetime.fromtimestamp(due_ms / 1000, UTC).isoformat().replace("+00:00", "Z") if due_ms else None
    worked = sum(counts.values())
    if invocation.as_json:
        invocation.document(worked=worked, **counts, next_due=next_due)
    else:
        told = ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "nothing to do"
        invocation.data(f"{told}; next due {next_due}" if next_due else told)


_TOLD = (
    State.SENT,
    State.REFUSED,
    State.FAILED,
    State.SUPPRESSED,
    State.CANCELLED,
    State.IN_DOUBT,
    State.DEFERRED,
)
