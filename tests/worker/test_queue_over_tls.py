"""`rediss://`: whoever answers under another name gets neither the password nor a word."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as RefusedError

from mailer.backends.redis.connection import connect
from mailer.backends.redis.fleet import Worker
from mailer.backends.redis.jobs import hear, reader_pool
from mailer.backends.redis.keys import Keys
from mailer.worker.heartbeat import Heartbeat
from tests.relays.certificates import issue


@asynccontextmanager
async def impostor(folder: Path) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server with a good certificate of another name: its URL, and what it was told."""
    certificates = issue("other.test")
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1000))
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0, ssl=certificates.server_context)
    async with server:
        (folder / "ca.pem").write_text(certificates.ca_pem)
        port = server.sockets[0].getsockname()[1]
        yield f"rediss://:secret@localhost:{port}/0?ssl_ca_certs={folder / 'ca.pem'}", heard


async def by_a_client(url: str) -> None:
    client = connect(url, patience=0)
    try:
        await client.get("k")
    finally:
        await client.aclose()


async def by_the_reader(url: str) -> None:
    pool = reader_pool(url, "queue")
    pool.connection_pool.connection_kwargs["retry"] = None
    try:
        await pool.zcard("queue")
    finally:
        await pool.aclose(close_connection_pool=True)


async def by_the_listener(url: str) -> None:
    await hear(url, "queue", lambda: None)


async def by_the_heartbeat(url: str) -> None:
    async with Heartbeat(url, Keys("t"), Worker(owner="w", host="here", pid=1, version="1"), 1.0):
        pass


@pytest.mark.parametrize("call", [by_a_client, by_the_reader, by_the_listener, by_the_heartbeat])
async def test_a_server_with_another_name_is_told_nothing(
    tmp_path: Path, call: Callable[[str], Awaitable[None]]
) -> None:
    async with impostor(tmp_path) as (url, heard):
        with pytest.raises(RefusedError, match=r"(?i)hostname mismatch"):
            await call(url)
        assert not any(heard)
