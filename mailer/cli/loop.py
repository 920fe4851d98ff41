"""The event loop of a command, loaded only by those that need one: it would be a fifth of the time of `--help`."""

from collections.abc import Coroutine
from typing import Any


def run_loop(main: Coroutine[Any, Any, int]) -> int:
    """Run an asynchronous command to its exit code. One that was cancelled counts as interrupted."""
    import asyncio

    try:
        return asyncio.run(main)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
