"""A bench for the tests of a process, where rounds are carried out."""

from collections.abc import Iterator

import pytest

from tests.faults.nursery import spawned
from tests.faults.rounds import Bench, Benches
from tests.faults.slots import scratch
from tests.relays.certificates import good

SIDE_BY_SIDE = 8


@pytest.fixture(scope="session")
def benches() -> Iterator[Benches]:
    """Queue servers and nurseries of this process."""
    some = [Bench(scratch(), nursery, good()) for nursery in spawned(SIDE_BY_SIDE)]
    yield Benches(some)
    for bench in some:
        bench.close()
