"""The event loop of a command, loaded only by those that need one: it would be a fifth of the time of `--help`."""

from collections.abc import Coroutine
from typing import Any


def run_loop(main: Coroutine[Any, Any, int]) -> int:
    """Run an asynchronous command to its exit code. One that was cancelled counts as interrupted."""
    import asyncio

    from mailer.worker.event_loop import new_event_loop

    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(main)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
