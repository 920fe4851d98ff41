"""`mailer worker --check`: is a worker on this machine alive? For health checks of containers and service managers."""

from typing import TYPE_CHECKING

from mailer.backends.redis.fleet import host_name
from mailer.cli.opening import open_queue, read_setting

if TYPE_CHECKING:
    from mailer.cli.invocation import Invocation

CHECK_FAILED = 3


async def check_worker(invocation: "Invocation") -> int:
    """0 when a worker on this machine has reported within the lease that it works, else 3.

    4 when the queue cannot be asked.
    """
    async with open_queue(read_setting(invocation)) as ledgers:
        here = [worker for worker in await ledgers.fleet.alive() if worker.host == host_name()]
    if invocation.as_json:
        invocation.document(
            alive=bool(here),
            workers=[{"pid": worker.pid, "version": worker.version, "health": worker.health} for worker in here],
        )
    else:
        invocation.data(
            ", ".join(f"pid {worker.pid}: {worker.health}" for worker in here)
            or "no worker on this machine has reported lately"
        )
    return 0 if any(worker.is_healthy for worker in here) else CHECK_FAILED
