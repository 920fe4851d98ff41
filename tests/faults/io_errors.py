"""Input and output that fails: in a worker process the N-th call, answer or write does, and everything else works."""

import asyncio
import sys
from asyncio import sslproto
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError

from mailer.worker import __main__ as worker

WHERE = ("redis_call", "redis_answer", "smtp_write")
MARK = "broken on purpose"
"""Stands in the log of a worker that got so far."""


def break_at(order: str) -> None:
    """Let the N-th of a kind fail in this process, as `redis_answer:7` says.

    A `redis_call` never reaches the queue server; a `redis_answer` is of a command that was carried out and is lost. A
    `smtp_write` loses the connection and what was to be written.
    """
    where, _, count = order.partition(":")
    {"redis_call": _redis_call, "redis_answer": _redis_answer, "smtp_write": _smtp_write}[where](int(count))


class _Turn:
    """Counts, and says when it is the N-th."""

    def __init__(self, count: int) -> None:
        self._left = count

    def is_now(self) -> bool:
        self._left -= 1
        if self._left == 0:
            print(MARK, file=sys.stderr, flush=True)
        return self._left == 0


def _redis_call(count: int) -> None:
    turn, send = _Turn(count), AbstractConnection.send_packed_command

    async def fails(self: AbstractConnection, *arguments: Any, **options: Any) -> None:
        if turn.is_now():
            await self.disconnect(nowait=True)
            raise RedisConnectionError(MARK)
        await send(self, *arguments, **options)

    AbstractConnection.send_packed_command = fails  # type: ignore[method-assign]  # the fault


def _redis_answer(count: int) -> None:
    turn, read = _Turn(count), AbstractConnection.read_response

    async def fails(self: AbstractConnection, *arguments: Any, **options: Any) -> Any:
        answer = await read(self, *arguments, **options)
        if turn.is_now():
            await self.disconnect(nowait=True)
            raise RedisConnectionError(MARK)
        return answer

    AbstractConnection.read_response = fails  # type: ignore[method-assign]  # the fault


def _smtp_write(count: int) -> None:
    # The transports of uvloop cannot be changed.
    worker.new_event_loop = asyncio.new_event_loop  # type: ignore[attr-defined]  # where it is looked up
    turn, transport = _Turn(count), sslproto._SSLProtocolTransport
    write = transport.write

    def fails(self: Any, data: Any) -> None:
        if turn.is_now():
            self.abort()
        else:
            write(self, data)

    transport.write = fails  # type: ignore[method-assign]  # the fault
