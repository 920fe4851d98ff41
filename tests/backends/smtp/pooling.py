"""Pools under test: their state in words, and borrowers that do as they are told."""

import asyncio
from collections.abc import Callable

from mailer.backends.smtp.pool import SmtpPool
from mailer.vocabulary.transmission import Transmission
from tests.backends.smtp.sending import send

MakePool = Callable[..., SmtpPool]


async def send_through(pool: SmtpPool, *recipients: str) -> Transmission:
    async with pool.session() as session:
        return await send(session, *recipients)


def state(pool: SmtpPool) -> str:
    return repr(pool).partition(": ")[2].removesuffix(">")


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until it is so; the test's own timeout is the limit."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a pool tells its state, not its changes
            await asyncio.sleep(0)


class Gate:
    """Borrows a session and keeps it until it is told to give it back."""

    def __init__(self, pool: SmtpPool, borrower: str = "") -> None:
        self.leave = asyncio.Event()
        self.has_one = asyncio.Event()
        self.task = asyncio.create_task(self._borrow(pool, borrower))

    async def _borrow(self, pool: SmtpPool, borrower: str) -> None:
        async with pool.session(borrower):
            self.has_one.set()
            await self.leave.wait()

    async def done(self) -> None:
        self.leave.set()
        await self.task
