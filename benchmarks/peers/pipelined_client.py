"""The bare client: constant bytes over STARTTLS, envelope in one write, body in another, nothing else."""

import asyncio
import ssl
import sys
from pathlib import Path
from typing import cast

from benchmarks.course import Course, Runner
from benchmarks.crew import Crew

ENVELOPE = b"MAIL FROM:<news@acme.example>\r\nRCPT TO:<person@customer.example>\r\nDATA\r\n"


def go(course: Course, crew: Crew) -> None:
    """Start as many as we have workers."""
    share, rest = divmod(course.messages, course.processes)
    for number in range(course.processes):
        own = course.of(share + (rest if number == 0 else 0))
        crew.start(
            f"client{number}", [sys.executable, "-m", "benchmarks.peers.pipelined_client"], environ=own.environ()
        )


class Client(asyncio.Protocol):
    """Counts lines that end a reply: the last of each has a space after its code."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._rest = b""
        self._open = 0
        self._answered: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to write to."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Count."""
        *lines, self._rest = (self._rest + data).split(b"\r\n")
        self._open -= sum(line[3:4] == b" " for line in lines)
        if self._open <= 0 and self._answered is not None and not self._answered.done():
            self._answered.set_result(None)

    async def say(self, words: bytes, replies: int) -> None:
        """Write, and wait for so many replies."""
        assert self.transport is not None  # noqa: S101 (connected)
        self._answered = asyncio.get_running_loop().create_future()
        self._open += replies
        if words:
            self.transport.write(words)
        if self._open > 0:
            await self._answered


async def send(course: Course, body: bytes, numbers: "list[int]") -> None:
    """One connection."""
    loop = asyncio.get_running_loop()
    context = ssl.create_default_context(cafile=course.ca_file)
    transport, client = await loop.create_connection(Client, "127.0.0.1", course.tls_port)
    await client.say(b"", 1)
    await client.say(b"EHLO bare.example\r\n", 1)
    await client.say(b"STARTTLS\r\n", 1)
    client.transport = await loop.start_tls(transport, client, context, server_hostname="127.0.0.1")
    await client.say(b"EHLO bare.example\r\n", 1)
    while numbers:
        numbers.pop()
        await client.say(ENVELOPE, 3)
        await client.say(body, 1)


async def main(course: Course) -> None:
    """Be the client."""
    content = (Path(course.folder) / "message.eml").read_bytes()
    body = content.replace(b"\n.", b"\n..").replace(b"\n", b"\r\n") + b".\r\n"
    numbers = list(range(course.messages))
    async with asyncio.TaskGroup() as group:
        for _ in range(course.connections):
            group.create_task(send(course, body, numbers))


RUNNERS = (
    Runner(
        name="bare pipelined client",
        what="asyncio (uvloop where there is one), constant bytes, STARTTLS, PIPELINING; no rendering, queue or record",
        go=go,
        is_limit=True,
    ),
)

if __name__ == "__main__":
    try:
        import uvloop as loops
    except ImportError:
        asyncio.run(main(Course.given()))
    else:
        loops.run(main(Course.given()))
