"""Relays, and sessions to them that are closed when the test is over."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from mailer.backends.smtp.pool import SmtpPool
from tests.backends.smtp.pooling import MakePool
from tests.backends.smtp.sending import SETTINGS, Connect
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


@pytest.fixture
async def make_pool(relay: ScriptedRelay) -> AsyncIterator[MakePool]:
    async with AsyncExitStack() as stack:

        def make(user: str | None = None, password: str | None = None, **changes: Any) -> SmtpPool:
            pool = SmtpPool(relay.route(user=user), password, replace(SETTINGS, **changes))
            stack.push_async_callback(pool.close)
            return pool

        yield make
