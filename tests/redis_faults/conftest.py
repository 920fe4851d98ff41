"""The servers that these tests use."""

import gc
from collections.abc import Iterator

import pytest

from mailer.backends.embedded import stop
from tests.redis_faults.servers import FaultyServer, Pair
from tests.servers import ledgers, valkey_url

__all__ = ["ledgers", "valkey_url"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A server that is killed under arq leaves one of its pipelines unclosed now and then, which is arq's affair."""
    leftover = pytest.mark.filterwarnings(
        "ignore:Exception ignored in.*Redis.__del__:pytest.PytestUnraisableExceptionWarning"
    )
    for item in items:
        if "redis_faults" in item.path.parts:
            item.add_marker(leftover)


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyServer]:
    """A server of one test, for every fault there is."""
    one = FaultyServer(tmp_path_factory.mktemp("faulty"))
    yield one
    one.mend()
    stop(one.folder)
    # What arq has left of its connections goes with the test that has broken them.
    gc.collect()


@pytest.fixture
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A primary and a replica of one test."""
    both = Pair(tmp_path_factory.mktemp("pair"))
    yield both
    both.close()
    gc.collect()
