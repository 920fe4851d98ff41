"""The connection to the queue server: nobody waits for ever, and nobody takes a reply that is not his."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from redis import exceptions

from mailer.backends.redis import wire
from mailer.backends.redis.connection import connect
from mailer.backends.redis.server import Server

PATIENCE_S = 0.15

Answer = Callable[[bytes, int], bytes]
"""What a server says to a command, the first, second, … of its name; nothing is silence."""


@asynccontextmanager
async def talking_to(answer: Answer) -> AsyncIterator[tuple[Server, list[int]]]:
    """A client, and how many connections it has made; `OK` is the answer to its greeting."""
    connections: list[int] = []
    count: dict[bytes, int] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(len(connections))
        try:
            while line := await reader.readline():
                words = []
                for _ in range(int(line[1:])):
                    await reader.readline()
                    words.append((await reader.readline()).strip())
                name = words[0]
                count[name] = count.get(name, 0) + 1
                writer.write(b"+OK\r\n" if name == b"CLIENT" else answer(name, count[name]))
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        redis = connect(f"redis://127.0.0.1:{port}", patience=0)
        try:
            yield redis, connections
        finally:
            await redis.aclose()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replies have a fraction of a second."""
    monkeypatch.setattr(wire, "REPLY_TIMEOUT_S", PATIENCE_S)


async def test_a_reply_that_does_not_come_is_waited_for_so_long_and_no_longer(impatient: None) -> None:
    async with talking_to(lambda name, _: b"" if name == b"GET" else b":1\r\n") as (redis, _):
        # The one before has set the timer already.
        assert await redis.llen("a") == 1
        begun = asyncio.get_running_loop().time()
        with pytest.raises(exceptions.TimeoutError):
            await redis.get("a")
        assert asyncio.get_running_loop().time() - begun >= PATIENCE_S


async def test_after_a_reply_that_did_not_come_the_next_command_has_a_connection_of_its_own(impatient: None) -> None:
    async with talking_to(lambda name, nth: b"" if nth == 1 else b"$1\r\nx\r\n") as (redis, connections):
        with pytest.raises(exceptions.TimeoutError):
            await redis.get("a")
        assert await redis.get("a") == b"x"
        assert len(connections) == 2


@pytest.mark.parametrize("too_much", [b"+stray\r\n", b"+half", b"$5\r\nhello\r\n:7\r\n"])
async def test_what_nobody_asked_for_is_nobodys_answer(too_much: bytes) -> None:
    async with talking_to(lambda name, nth: b":%d\r\n" % nth + (too_much if nth == 1 else b"")) as (redis, connections):
        assert await redis.llen("a") == 1
        assert await redis.llen("a") == 2
        assert len(connections) == 2
