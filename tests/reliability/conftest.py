"""Queue servers, a nursery for real processes, and the scene that every fault is put on."""

import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mailer.backends.redis.ledgers import Ledgers
from tests.faults.nursery import spawned
from tests.reliability.company import Company
from tests.reliability.scene import Scene

QUICK = ("test_matrix.py", "test_04_", "test_10_", "test_40_", "test_48_49_", "test_57_", "test_80_", "test_87_")
"""What of these faults is in the quick set as well. The others are thorough: real processes die slowly."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "reliability" in item.path.parts and not any(name in item.nodeid for name in QUICK):
            item.add_marker(pytest.mark.thorough)


@pytest.fixture(scope="session")
def nursery() -> Iterator[socket.socket]:
    """Where worker processes are born quickly."""
    (orders,) = spawned(1)
    with orders:
        yield orders


@pytest.fixture
async def scene(ledgers: Ledgers, tmp_path: Path) -> AsyncIterator[Scene]:
    """A ledger, a relay that knows the truth, and workers in the event loop of the test."""
    async with Scene(ledgers, tmp_path) as opened:
        yield opened


@pytest.fixture
async def company(scene: Scene, nursery: socket.socket) -> AsyncIterator[Company]:
    """Processes that may be killed."""
    async with Company(scene, nursery) as started:
        yield started
