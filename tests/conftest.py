"""What every test shares."""

import signal

import pytest
from hypothesis import HealthCheck, settings


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


def pytest_configure() -> None:
    # Nothing is timed: a busy machine is no failure.
    settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("untimed")
    # A background job starts with SIGINT ignored, and so would every command that the tests interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
