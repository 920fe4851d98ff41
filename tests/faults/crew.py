"""The crew: the processes of one round, by name, and what has become of them."""

import asyncio
import os
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from mailer.config.orders import Orders, write_orders
from tests.faults.mailing import Mailing
from tests.faults.nursery import MOST, Birth, Gone


@dataclass(slots=True, eq=False)
class Member:
    """One process. `told_to_end` when it is expected to."""

    name: str
    pid: int
    stdin: int
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    status: int | None = None
    is_stopped: bool = False
    told_to_end: int = 0

    def send(self, number: int) -> None:
        """Send it a signal, if it is still there."""
        if not self.gone.is_set():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Crew:
    """Starts processes through a nursery and hears of their end."""

    def __init__(self, nursery: socket.socket, folder: Path) -> None:
        self._nursery = nursery
        self._folder = folder
        self._members: dict[int, Member] = {}
        self._early: dict[int, int] = {}
        self._births: asyncio.Queue[int] = asyncio.Queue()
        self._lock = asyncio.Lock()
        self._born = 0
        self._change = asyncio.Event()
        nursery.setblocking(False)
        asyncio.get_running_loop().add_reader(nursery.fileno(), self._hear)

    def close(self) -> None:
        """Listen no more, and let nobody live on."""
        asyncio.get_running_loop().remove_reader(self._nursery.fileno())
        for member in self._members.values():
            member.send(signal.SIGKILL)

    @property
    def alive(self) -> list[Member]:
        """Workers that have not ended."""
        return [member for member in self._members.values() if not member.gone.is_set()]

    @property
    def dead(self) -> list[Member]:
        """Processes that have ended."""
        return [member for member in self._members.values() if member.gone.is_set()]

    @property
    def working(self) -> list[Member]:
        """Workers that are alive, and neither stopped nor told to end."""
        return [member for member in self.alive if member.name[0] == "w" and not member.told_to_end]

    async def changed(self, *, within: float) -> None:
        """Wait until somebody has ended since this was last asked, at most so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._change.wait()
        self._change.clear()

    def named(self, name: str) -> Member | None:
        """Who calls himself this in EHLO, if he is alive."""
        return next((member for member in self.alive if member.name == name.partition(".")[0]), None)

    async def worker(self, orders: Orders, *, failpoints: str = "", io_error: str = "", mutant: str = "") -> Member:
        """Start a worker process; its EHLO name is its own."""
        self._born += 1
        name = f"w{self._born}"
        told = msgspec.structs.replace(orders, smtp=orders.smtp | {"local_hostname": f"{name}.test"})
        log = str(self._folder / f"{name}.log")
        birth = Birth(kind="worker", log=log, failpoints=failpoints, io_error=io_error, mutant=mutant)
        member = await self._bear(name, birth)
        os.write(member.stdin, write_orders(told))
        return member

    async def producer(self, mailing: Mailing, *, failpoints: str = "") -> Member:
        """Start a process that submits the mailing."""
        self._born += 1
        name = f"p{self._born}"
        log = str(self._folder / f"{name}.log")
        return await self._bear(
            name, Birth(kind="producer", arguments=mailing.to_dict(), log=log, failpoints=failpoints)
        )

    async def _bear(self, name: str, birth: Birth) -> Member:
        theirs, ours = os.pipe()
        async with self._lock:
            socket.send_fds(self._nursery, [msgspec.json.encode(birth)], [theirs])
            pid = await self._births.get()
        os.close(theirs)
        member = self._members[pid] = Member(name, pid, ours)
        if pid in self._early:
            self._bury(member, self._early.pop(pid))
        return member

    def _hear(self) -> None:
        try:
            while True:
                if not (message := self._nursery.recv(MOST)):
                    return
                if message[:1] == b"B":
                    self._births.put_nowait(int(message[1:]))
                    continue
                gone = msgspec.json.decode(message[1:], type=Gone)
                if (member := self._members.get(gone.pid)) is not None and not member.gone.is_set():
                    self._bury(member, gone.status)
                else:
                    self._early[gone.pid] = gone.status
        except BlockingIOError:
            pass

    def _bury(self, member: Member, status: int) -> None:
        member.status = status
        member.gone.set()
        self._change.set()
        os.close(member.stdin)
