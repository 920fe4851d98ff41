"""Connections to the queue server that spend little of their own on a call: no task and no time-out for each."""

import asyncio
import math
from collections.abc import Iterable
from typing import Any

import hiredis
from redis import exceptions
from redis.asyncio import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection

REPLY_TIMEOUT_S = 60.0
"""How long a reply may take; after that the connection is given up."""


class _Swift(AbstractConnection):
    """redis-py packs a command in Python, sends it through `asyncio.wait_for`, and has a time-out for each reply.

    That costs two thirds of a call, and in Python 3.11 `wait_for` forgets a cancellation that comes together with the
    end of what it waits for (gh-86296): a worker would not end when it is told to, about once in a hundred times.
    """

    _alarm: asyncio.TimerHandle | None = None
    _deadline = math.inf
    """Of the reply that is waited for, by the clock of the loop."""

    def pack_command(self, *args: Any) -> list[bytes]:
        """A command in Redis's protocol."""
        # `CONFIG GET` is one name in redis-py, and two words to the server.
        return [hiredis.pack_command((*args[0].split(), *args[1:]))]

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        """Send it. Raises redis-py's `ConnectionError` and `TimeoutError`."""
        if not self.is_connected:
            await self.connect()  # type: ignore[no-untyped-call] # redis has no types there
        writer = self._writer
        if writer is None:
            raise exceptions.ConnectionError("Connection closed")
        try:
            if isinstance(command, str):
                command = command.encode()
            writer.writelines((command,) if isinstance(command, bytes) else command)
            if writer.transport.get_write_buffer_size():
                async with asyncio.timeout(REPLY_TIMEOUT_S):
                    await writer.drain()
        except TimeoutError:
            await self.disconnect(nowait=True)
            raise exceptions.TimeoutError("Timeout writing to socket") from None
        except OSError as error:
            await self.disconnect(nowait=True)
            raise exceptions.ConnectionError(f"Error while writing to socket: {error}") from error
        except BaseException:
            await self.disconnect(nowait=True)
            raise

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """The next reply. Raises redis-py's errors, a `TimeoutError` after `REPLY_TIMEOUT_S`."""
        loop = asyncio.get_running_loop()
        self._deadline = loop.time() + REPLY_TIMEOUT_S
        if self._alarm is None:
            self._alarm = loop.call_at(self._deadline, self._ring)
        try:
            return await super().read_response(*args, **options)
        except exceptions.ConnectionError:
            if loop.time() >= self._deadline:
                raise exceptions.TimeoutError("Timeout reading from socket") from None
            raise
        finally:
            self._deadline = math.inf

    def _ring(self) -> None:
        """One timer goes on from reply to reply; whoever waits now may have begun later, and waits longer."""
        self._alarm = None
        if self._deadline == math.inf:
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._deadline:
            self._alarm = loop.call_at(self._deadline, self._ring)
        elif self._writer is not None:
            self._writer.transport.abort()

    async def can_read_destructive(self) -> bool:
        """True when something came that nobody asked for; redis-py looks before each command, with a time-out of 0."""
        stream: Any = self._reader
        parser: Any = self._parser
        return stream is None or stream.at_eof() or bool(stream._buffer) or parser._reader.has_data()

    async def disconnect(self, nowait: bool = False) -> None:
        """Close it."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        await super().disconnect(nowait)


class _SwiftTcp(_Swift, Connection):
    pass


class _SwiftTls(_Swift, SSLConnection):
    pass


class _SwiftUnix(_Swift, UnixDomainSocketConnection):
    pass


_SWIFT = {Connection: _SwiftTcp, SSLConnection: _SwiftTls, UnixDomainSocketConnection: _SwiftUnix}


class _Pool(ConnectionPool):
    """Leaves no connection open when it has been closed, whoever was still connecting or in a retry by then."""

    _is_closed = False

    async def disconnect(self, inuse_connections: bool = True) -> None:
        """Close it."""
        self._is_closed = True
        await super().disconnect(inuse_connections)

    async def release(self, connection: AbstractConnection) -> None:
        """Take a connection back."""
        await super().release(connection)
        if self._is_closed:
            await connection.disconnect(nowait=True)


def connection_pool(url: str, **options: Any) -> ConnectionPool:
    """A pool of connections to `redis://`, `rediss://` (host name verified) or `unix://`, with redis-py's options."""
    if url.startswith("rediss://"):
        options["ssl_check_hostname"] = True
    made = _Pool.from_url(url, **options)
    made.connection_class = _SWIFT[made.connection_class]
    return made
