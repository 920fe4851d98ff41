"""Persistence: what must reach the ledger is said until it does."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from redis import exceptions

from mailer.backends.redis.chunk_checks import UNREADABLE
from mailer.backends.redis.connection import PASSING
from mailer.backends.redis.damage import is_damage
from mailer.backends.redis.recorder import LONGEST_PAUSE_S

log = structlog.get_logger("mailer.ledger")


async def persistently(call: Callable[[], Awaitable[None]]) -> None:
    """Repeat an idempotent call until the ledger takes it: work that ended must not stay claimed."""
    pause = 0.05
    while True:
        try:
            await call()
        except (*PASSING, *UNREADABLE, exceptions.ResponseError) as error:
            if str(error).startswith("NOCAMPAIGN"):
                return
            if is_damage(error):
                # It will not get better by itself, and others wait for the place that this work takes.
                log.error("the ledger is damaged", cause=str(error))
                return
            if pause == LONGEST_PAUSE_S:
                log.warning("the ledger does not answer", cause=str(error) or type(error).__name__)
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE_S, pause * 2)
        else:
            return
