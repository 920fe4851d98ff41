"""How many processes render: as many as were asked for, or as the processors allow."""

import os
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from mailer.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from mailer.flow.preparation import Prepared

MOST_PROCESSES = 64
CORES_FOR_MORE = 4
"""From so many processors on, several processes render by default: the queue server and the workers need theirs."""
MOST_BY_DEFAULT = 8


def with_renderers(prepared: "Prepared", asked: int | None) -> "Prepared":
    """The same, rendered by `asked` processes, this one among them; None leaves it to the machine.

    Raises `UsageError` E101 for a number that makes no sense.
    """
    count = _processes(asked)
    if count == 1:
        return prepared
    from mailer.worker.rendering import start_renderers

    is_asked = asked is not None
    start = partial(start_renderers, prepared, count=count - 1, is_asked=is_asked)
    return replace(prepared, renderers=start, waits_for_renderers=is_asked)


def _processes(asked: int | None) -> int:
    if asked is None:
        cores = _cores()
        return min(cores - 1, MOST_BY_DEFAULT) if cores >= CORES_FOR_MORE else 1
    if not 1 <= asked <= MOST_PROCESSES:
        raise UsageError(
            "E101",
            f"{asked} processes cannot render: 1 to {MOST_PROCESSES} can",
            hint="--render-processes 2 (in a program: render_processes=2)",
        )
    return asked


def _cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
