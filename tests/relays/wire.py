"""The server's end of a connection: bytes in, replies out, TLS when asked."""

import asyncio
import ssl
from typing import cast

END_OF_DATA = b"\r\n.\r\n"


class Wire(asyncio.Protocol):
    """Reads what the client writes, keeps a copy of it, and answers in one segment per group, as Postfix does."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._replies = bytearray()
        self._news: asyncio.Future[None] | None = None
        self._ended = False
        self.is_protected = False
        self.received = bytearray()
        """Every byte of the client, decrypted."""

    @property
    def transport(self) -> asyncio.Transport:
        assert self._transport is not None
        return self._transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.is_protected = transport.get_extra_info("sslcontext") is not None
        self._tell()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self.received += data
        self._tell()

    def eof_received(self) -> bool:
        self._ended = True
        self._tell()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._tell()

    async def connected(self) -> None:
        """Wait until there is a connection, protected if it should be."""
        while self._transport is None:
            await self._wait()

    async def line(self) -> bytes:
        """The next command without its CRLF. Raises EOFError when the client has gone."""
        return (await self._until(b"\r\n"))[:-2]

    async def message(self) -> bytes:
        """The content that follows a 354, as it stands on the wire, without the final dot."""
        # The CRLF behind DATA counts: an empty message is the dot alone (RFC 5321 section 4.1.1.4).
        self._buffer[:0] = b"\r\n"
        return (await self._until(END_OF_DATA))[2 : -len(END_OF_DATA) + 2]

    async def something(self) -> None:
        """Wait for the next bytes, whatever they are."""
        while not self._buffer:
            await self._more()

    async def end(self) -> None:
        """Wait until the client has gone."""
        self.flush()
        while not self._ended:
            await self._wait()

    def reply(self, reply: bytes) -> None:
        """Answer; it is sent when the client has nothing more to say for the moment."""
        self._replies += reply

    def flush(self) -> None:
        """Send the answers now."""
        if self._replies and not self.transport.is_closing():
            self.transport.write(bytes(self._replies))
        self._replies.clear()

    async def protect(self, context: ssl.SSLContext) -> None:
        """Begin TLS on this connection."""
        self.flush()
        self._buffer.clear()  # RFC 3207 section 4.2
        upgraded = await self._loop.start_tls(self.transport, self, context, server_side=True)
        assert upgraded is not None
        self._transport = upgraded
        self.is_protected = True

    def close(self) -> None:
        """Say what is left to say, and hang up."""
        self.flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Hang up at once."""
        if self._transport is not None:
            self._transport.abort()

    async def _until(self, mark: bytes) -> bytes:
        while (found := self._buffer.find(mark)) < 0:
            await self._more()
        taken = bytes(self._buffer[: found + len(mark)])
        del self._buffer[: found + len(mark)]
        return taken

    async def _more(self) -> None:
        self.flush()
        if self._ended:
            raise EOFError
        await self._wait()

    async def _wait(self) -> None:
        self._news = self._loop.create_future()
        await self._news

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)
