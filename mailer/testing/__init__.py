"""For the tests of a project that sends with mailer: `pytest_plugins = ["mailer.testing"]` in its conftest.

`memory_mailer` takes everything that is sent, in memory and without any server; `smtp_capture` and `outbox` are a real
mail server that delivers nothing, and a queue that is gone afterwards. Without pytest there are `MemoryMailer`,
`AsyncMemoryMailer` and `Outbox`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailer.testing.fixtures import memory_mailer, outbox, running_capture, smtp_capture
    from mailer.testing.memory import AsyncMemoryMailer, MemoryMailer
    from mailer.testing.messages import Outbox

__all__ = [
    "AsyncMemoryMailer",
    "MemoryMailer",
    "Outbox",
    "memory_mailer",
    "outbox",
    "running_capture",
    "smtp_capture",
]

_FIXTURES = ("memory_mailer", "outbox", "smtp_capture")
_HOMES = {"AsyncMemoryMailer": "memory", "MemoryMailer": "memory", "Outbox": "messages"}


def __getattr__(name: str) -> object:
    # Loaded on first use: a project's whole test suite imports this module, and a program need not have pytest.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'fixtures')}"), name)


def __dir__() -> list[str]:
    # pytest looks for fixtures in what is told here, and loads all of it.
    return sorted({*globals(), *_FIXTURES})
