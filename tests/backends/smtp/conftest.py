"""Relays, and sessions to them that are closed when the test is over."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.backends.smtp.sending import Connect
from tests.relays.scripted import ScriptedRelay


@pytest.fixture(params=[True, False], ids=["pipelined", "command by command"])
async def relay(request: pytest.FixtureRequest) -> AsyncIterator[ScriptedRelay]:
    """The scripted relay with STARTTLS. Every test that takes it runs with PIPELINING and without."""
    async with ScriptedRelay(pipelining=request.param) as relay:
        yield relay


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    async with AsyncExitStack() as stack:
        yield Connect(stack)
