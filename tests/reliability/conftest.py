"""Queue servers, a nursery for real processes, and the scene that every fault is put on."""

import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mailer.backends.redis.ledgers import Ledgers
from tests.faults.nursery import spawned
from tests.reliability.company import Company
from tests.reliability.scene import Scene
from tests.servers import ledgers, own_server, valkey_url

__all__ = ["ledgers", "own_server", "valkey_url"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "every_point: every step of every message; minutes, and only when asked for")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "every_point" not in str(config.option.markexpr):
        for item in items:
            if item.get_closest_marker("every_point"):
                item.add_marker(pytest.mark.skip(reason="minutes long: -m every_point"))


@pytest.fixture(scope="session")
def nursery() -> Iterator[socket.socket]:
    """Where worker processes are born quickly."""
    with spawned() as orders:
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
