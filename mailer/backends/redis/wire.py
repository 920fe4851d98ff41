"""Connections to the queue server whose commands are packed in C and sent without a task for each."""

import asyncio
from collections.abc import Iterable
from typing import Any

import hiredis
from redis import exceptions
from redis.asyncio import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection


class _Swift(AbstractConnection):
    """redis-py packs a command in Python and sends it through `asyncio.wait_for`.

    That costs two thirds of a call, and in Python 3.11 `wait_for` forgets a cancellation that comes together with the
    end of what it waits for (gh-86296): a worker would not end when it is told to, about once in a hundred times.
    """

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
                async with asyncio.timeout(self.socket_timeout):
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
