"""The servers that these tests use."""

import gc
from collections.abc import Iterator

import pytest

from mailer.backends.embedded import stop
from tests.redis_faults.servers import FaultyServer, Pair

QUICK = (
    "test_remembered.py",
    "test_wire.py",
    "test_a_server_that_reads_its_data",
    "test_a_power_loss_under_two_workers_loses_nobody_and_sends_nobody_twice[0]",
    "test_a_server_that_does_not_write_stops_the_claims_aloud_until_it_does[no_memory",
    "test_a_list_",
)
"""What of these faults is in the quick set as well: one of each kind. The others are thorough: servers fail slowly."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A server that is killed under arq leaves one of its pipelines unclosed now and then, which is arq's affair."""
    leftover = pytest.mark.filterwarnings(
        "ignore:Exception ignored in.*Redis.__del__:pytest.PytestUnraisableExceptionWarning"
    )
    for item in items:
        if "redis_faults" in item.path.parts:
            item.add_marker(leftover)
            if not any(name in item.nodeid for name in QUICK):
                item.add_marker(pytest.mark.thorough)


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
