"""A TCP proxy between a client and a relay that harms the connection: exactly where, and exactly how."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Self

from tests.faults.hanging_up import hang_up, reset

Edit = Callable[[bytes], bytes]
"""What becomes of a piece that passes through."""


class End(Enum):
    """How a connection is cut."""

    FIN = auto()
    RST = auto()
    SILENCE = auto()
    """Nothing passes any more, and nobody is told: a black hole."""


@dataclass(slots=True, kw_only=True)
class Harm:
    """What happens in one direction. Bytes are counted from the beginning of the connection, TLS included."""

    cut_after: int | None = None
    """The byte with this number is the last that passes."""
    end: End = End.RST
    delay_s: float = 0.0
    """How long each piece is held back."""
    bytes_per_s: float | None = None
    segment: int | None = None
    """No piece is longer than this; 1 sends every byte by itself."""
    coalesce_s: float = 0.0
    """For so long bytes are gathered and then go in one piece."""
    edit: Edit | None = None


@dataclass(slots=True)
class Passed:
    """How many bytes of a connection have come through."""

    up: int = 0
    down: int = 0


@dataclass(slots=True)
class Proxy:
    """Listens on 127.0.0.1 and passes on to `port`. `up` is from the client, `down` from the relay.

    Harm may be changed at any time; connections that exist heed it, too. With `only` set, just so many connections are
    harmed and those after them pass untouched.
    """

    port: int
    up: Harm = field(default_factory=Harm)
    down: Harm = field(default_factory=Harm)
    only: int | None = None
    planned: dict[int, tuple[Harm, Harm]] = field(default_factory=dict)
    """What happens to single connections by their number, the first is 1: up and down."""
    listens_on: int = 0
    connections: list[Passed] = field(default_factory=list)
    _server: asyncio.Server | None = None
    _tasks: "set[asyncio.Task[None]]" = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.listens_on = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await hang_up(self._server, self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passed = Passed()
        self.connections.append(passed)
        is_harmed = self.only is None or len(self.connections) <= self.only
        up, down = (self.up, self.down) if is_harmed else (Harm(), Harm())
        up, down = self.planned.get(len(self.connections), (up, down))
        relay_reader, relay_writer = await asyncio.open_connection("127.0.0.1", self.port)
        both = (writer, relay_writer)
        for side in both:
            side.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def count_up(number: int) -> None:
            passed.up += number

        def count_down(number: int) -> None:
            passed.down += number

        tasks = [
            asyncio.create_task(_pass_on(reader, relay_writer, up, count_up, both)),
            asyncio.create_task(_pass_on(relay_reader, writer, down, count_down, both)),
        ]
        self._tasks.update(tasks)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._tasks.difference_update(tasks)
            for side in both:
                side.close()


async def _pass_on(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    harm: Harm,
    count: Callable[[int], None],
    both: tuple[asyncio.StreamWriter, asyncio.StreamWriter],
) -> None:
    """One direction, until it ends."""
    gone = 0
    with contextlib.suppress(OSError):
        if harm.cut_after == 0:
            await _end(harm.end, both)
            return
        while piece := await reader.read(65536):
            if harm.coalesce_s:
                piece += await _gathered(reader, harm.coalesce_s)
            if harm.edit is not None:
                piece = harm.edit(piece)
            if harm.delay_s:
                await asyncio.sleep(harm.delay_s)
            left = None if harm.cut_after is None else harm.cut_after - gone
            is_last = left is not None and len(piece) >= left
            if is_last:
                piece = piece[:left]
            size = harm.segment or len(piece) or 1
            for start in range(0, len(piece), size):
                some = piece[start : start + size]
                writer.write(some)
                await writer.drain()
                count(len(some))
                if harm.segment:
                    await asyncio.sleep(0)
                if harm.bytes_per_s:
                    await asyncio.sleep(len(some) / harm.bytes_per_s)
            gone += len(piece)
            if is_last:
                await _end(harm.end, both)
                return


async def _gathered(reader: asyncio.StreamReader, seconds: float) -> bytes:
    found = b""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while piece := await reader.read(65536):
                found += piece
    return found


async def _end(end: End, both: tuple[asyncio.StreamWriter, asyncio.StreamWriter]) -> None:
    """Cut both sides, or say nothing for ever."""
    if end is End.SILENCE:
        await asyncio.get_running_loop().create_future()
    for side in both:
        if end is End.RST:
            # What was let through has arrived: on this machine a segment is there when it has been written.
            reset(side.transport)
        else:
            side.close()
