"""The event loop: uvloop's where it is installed (the extra `fast`), for it does the same work in less time."""

import asyncio
from collections.abc import Callable
from importlib import import_module


def _find_uvloop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        make: Callable[[], asyncio.AbstractEventLoop] = import_module("uvloop").new_event_loop
    except ImportError:
        return None
    return make


new_event_loop = _find_uvloop()
"""Makes a loop, for `asyncio.Runner`; None stands for asyncio's own."""
