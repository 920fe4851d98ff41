"""For the tests of a project that sends with mailer: `pytest_plugins = ["mailer.testing"]` in its conftest.

`memory_mailer` takes everything that is sent, in memory and without any server; `smtp_capture` and `outbox` are a real
mail server that delivers nothing, and a queue that is gone afterwards.
"""

from typing import TYPE_CHECKING

from mailer.testing.fixtures import memory_mailer, outbox, running_capture, smtp_capture
from mailer.testing.outbox import Outbox

if TYPE_CHECKING:
    from mailer.testing.memory import AsyncMemoryMailer, MemoryMailer

__all__ = [
    "AsyncMemoryMailer",
    "MemoryMailer",
    "Outbox",
    "memory_mailer",
    "outbox",
    "running_capture",
    "smtp_capture",
]


def __getattr__(name: str) -> object:
    # Loaded on first use: a project's whole test suite imports this module.
    if name not in ("AsyncMemoryMailer", "MemoryMailer"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mailer.testing import memory

    return getattr(memory, name)
