"""Real queue servers for tests: one that many tests share, others that a test may kill. And waiting for them."""

import asyncio
import inspect
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from mailer.backends.embedded import ensure, status, stop
from mailer.backends.redis.ledgers import Ledgers, open_ledgers


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One server for all tests of a process that leave it running; each test has a prefix of its own."""
    folder = tmp_path_factory.mktemp("valkey")
    url = ensure(folder)
    with Redis.from_url(url) as redis:
        # Nobody cuts the power here, and on a real disk an fsync takes as long as twenty commands.
        redis.config_set("appendfsync", "no")
    yield url
    stop(folder)


@pytest.fixture
async def ledgers(valkey_url: str) -> AsyncIterator[Ledgers]:
    """An empty ledger on the shared server."""
    async with open_ledgers(valkey_url, prefix=f"test-{secrets.token_hex(5)}", lease_s=10) as opened:
        yield opened


class OwnServer:
    """A queue server of one test, with everything on disk before it answers. It may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ensure(folder)

    def kill(self) -> None:
        """End it as a power switch would, and wait until it is gone."""
        found = status(self.folder)
        assert found is not None
        assert found.pid is not None
        os.kill(found.pid, signal.SIGKILL)
        deadline = time.monotonic() + 5
        while (found := status(self.folder)) is not None and found.running:
            assert time.monotonic() < deadline, "a killed server lives on"
            time.sleep(0.002)

    def start(self) -> None:
        """Start it again with the data it left."""
        assert ensure(self.folder) == self.url


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    """A server that the test may kill."""
    server = OwnServer(tmp_path_factory.mktemp("own"))
    yield server
    stop(server.folder)


async def until(holds: Callable[[], bool | Awaitable[bool]], *, within: float = 10.0) -> None:
    """Wait until a condition holds, looking often; fail after so many seconds."""
    deadline = time.monotonic() + within
    while True:
        answer = holds()
        if await answer if inspect.isawaitable(answer) else answer:
            return
        assert time.monotonic() < deadline, f"does not hold within {within:g} s"
        await asyncio.sleep(0.01)
