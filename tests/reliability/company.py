"""Processes of a scene that may be killed: workers and producers, born quickly, and none of them tells a secret."""

import asyncio
import base64
import signal
import socket
from typing import Any, Self

from tests.faults.crew import Crew, Member
from tests.faults.mailing import Mailing
from tests.reliability.scene import PASSWORD, Scene


class Company:
    """Each worker calls itself `w1`, `w2`, … in EHLO. At the end nobody lives on, and no log holds the password."""

    def __init__(self, scene: Scene, nursery: socket.socket) -> None:
        self._scene = scene
        self._crew = Crew(nursery, scene.folder)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        for member in self._crew.alive:
            member.send(signal.SIGKILL)
            await member.gone.wait()
        self._crew.close()
        logs = {path.name: path.read_bytes() for path in self._scene.folder.glob("w*.log")}
        for secret in (PASSWORD.encode(), base64.b64encode(PASSWORD.encode())):
            assert [name for name, text in logs.items() if secret in text] == []

    async def worker(self, *, failpoints: str = "", **changes: Any) -> Member:
        """Start one."""
        return await self._crew.worker(self._scene.orders(**changes), failpoints=failpoints)

    async def producer(self, mailing: Mailing, *, failpoints: str = "") -> Member:
        """Start one that submits this mailing."""
        return await self._crew.producer(mailing, failpoints=failpoints)


async def died(member: Member, status: int = -signal.SIGKILL) -> None:
    """Wait until it has ended, in this way."""
    async with asyncio.timeout(10):
        await member.gone.wait()
    assert member.status == status
