"""More connections, more processes: what a message costs then."""

from collections.abc import Callable
from typing import Any

from benchmarks.ground import Ground
from benchmarks.stages import drain
from benchmarks.table import number, table

CONNECTIONS = (1, 8, 32, 128)
PROCESSES = (1, 2)


def scaling(make: Callable[..., Ground], tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """The drain of a full queue with each of them."""
    found = []
    for processes in PROCESSES:
        for connections in CONNECTIONS:
            tell(f"{processes} × {connections}")
            with make(processes=processes, connections=connections) as ground:
                stage = drain(ground)
            found.append(
                {
                    "processes": processes,
                    "connections": connections,
                    "rate": stage.rate,
                    "cpu_us": 1e6 * stage.cpu_s / stage.messages,
                    "queue_cpu_us": 1e6 * stage.queue_cpu_s / stage.messages,
                    "peak_mb": stage.peak_mb,
                }
            )
    return found


def scaling_table(found: list[dict[str, Any]]) -> str:
    """For people."""
    head = ("processes × connections of each", "msg/s", "CPU µs/msg", "queue's CPU µs", "largest process MB")
    return table(
        head,
        [
            (
                f"{one['processes']} × {one['connections']}",
                *(number(one[name]) for name in ("rate", "cpu_us", "queue_cpu_us", "peak_mb")),
            )
            for one in found
        ],
    )
