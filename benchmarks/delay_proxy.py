"""A TCP proxy that holds what goes through it back for half a round trip in each direction.

python -m benchmarks.delay_proxy LISTEN_PORT TARGET_PORT ROUND_TRIP_MS
"""

import asyncio
import sys


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float) -> None:
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def hand_over() -> None:
        while True:
            at, data = await waiting.get()
            await asyncio.sleep(max(0.0, at - loop.time()))
            if not data:
                writer.close()
                return
            writer.write(data)
            await writer.drain()

    handing = asyncio.create_task(hand_over())
    try:
        while data := await reader.read(65536):
            # Each piece has its own time, so that many are on their way at once: this is delay, not a slow line.
            waiting.put_nowait((loop.time() + delay_s, data))
    except ConnectionError:
        pass
    waiting.put_nowait((loop.time() + delay_s, b""))
    try:
        await handing
    except ConnectionError:
        writer.close()


async def serve(port: int, target: int, round_trip_ms: float) -> None:
    """Serve until killed."""
    delay_s = round_trip_ms / 2000

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The three-way handshake takes a round trip before the first byte.
        await asyncio.sleep(2 * delay_s)
        there, back = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(_carry(reader, back, delay_s), _carry(there, writer, delay_s))

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
