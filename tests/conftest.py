"""What every test shares."""

import signal

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


def pytest_configure() -> None:
    # A background job starts with SIGINT ignored, and so would every command that the tests interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
