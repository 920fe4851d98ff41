"""How a server of these tests hangs up: on everybody when it ends, and with a reset where a fault asks for one."""

import asyncio
import socket
import struct
from collections.abc import Collection


async def hang_up(server: asyncio.Server | None, conversations: Collection[asyncio.Task[None]]) -> None:
    """Let nobody in any more, and end what is being said."""
    assert server is not None
    server.close()
    for task in conversations:
        task.cancel()
    await asyncio.gather(*conversations, return_exceptions=True)


def reset(transport: asyncio.WriteTransport) -> None:
    """End this connection with RST instead of FIN, as a host does that knows nothing of it any more."""
    # There is none where the other side has gone already.
    if (sock := transport.get_extra_info("socket")) is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
