"""Marks and outcomes of every connection of the process, travelling together in few script calls."""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import structlog
from redis import exceptions

from mailer.backends.redis.connection import PASSING
from mailer.backends.redis.damage import is_damage
from mailer.backends.redis.operation import Operation
from mailer.backends.redis.remembered import Memory
from mailer.backends.redis.scripts import TRANSITION

if TYPE_CHECKING:
    from mailer.backends.redis.keys import Keys
    from mailer.backends.redis.server import Server

BATCH = 500
GATHER_S = 0.002
ALONE = 2
"""After a call that carried more operations than one connection has, the next one is so much later: what many of them
ask under load travels together. Who is alone waits for nobody."""
ENOUGH = 16
"""So many do not wait for more: eight connections have an outcome and their next mark among them."""
LONGEST_PAUSE_S = 1.0
GRACE_S = 5.0
"""How long the end of a recorder waits for a server that is away."""

WON, LATE, NOT_RUNNING, SUPPRESSED, LOST = 1, 2, -1, -2, 0
"""Answers of `transition.lua`."""

_encode = msgspec.msgpack.Encoder().encode

log = structlog.get_logger("mailer.ledger")


class Recorder:
    """Writes in the order it was asked, and keeps trying while Redis is away: an outcome once known is not given up.

    One task does all the writing, so a script call is never cancelled half-way. Use it as an async context manager.
    `memory` has the last seconds of what was granted and what was to be written.
    """

    def __init__(self, redis: "Server", keys: "Keys", *, grace_s: float = GRACE_S) -> None:
        self._redis = redis
        self._keys = keys
        self._grace_s = grace_s
        self._pending: deque[Operation] = deque()
        self._wanted = math.inf  # so many operations rouse the writer
        self._roused: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._writing = asyncio.Lock()
        self.memory = Memory()
        self.is_recording = True

    async def __aenter__(self) -> "Recorder":
        self._task = asyncio.create_task(self._write())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        self._rouse()
        if self._task is None:
            return
        await asyncio.wait([self._task], timeout=self._grace_s)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
            self._give_up()

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Nothing is written until the end of the block; what is asked for meanwhile waits its turn."""
        async with self._writing:
            yield

    def submit(self, operation: Operation) -> None:
        """Queue one operation; returns at once."""
        if not operation.is_mark:
            self.memory.keep(operation, time.monotonic())
        self._pending.append(operation)
        if len(self._pending) >= self._wanted:
            self._rouse()

    async def _write(self) -> None:
        pause = 0.05
        while not (self._closing and not self._pending):
            if not self._pending:
                await self._until(1)
                continue
            next_at = time.monotonic() + GATHER_S
            async with self._writing:
                batch = self._next_batch()
                written = not batch or await self._write_batch(batch)
            if not written:
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE_S, pause * 2)
                continue
            pause = 0.05
            rest_s = next_at - time.monotonic()
            if len(batch) > ALONE and rest_s > 0:
                await self._until(ENOUGH, rest_s)

    async def _until(self, wanted: int, most_s: float | None = None) -> None:
        """Wait for so many operations, but not for longer than `most_s`, and not when it is the end."""
        if self._closing or len(self._pending) >= wanted:
            return
        loop = asyncio.get_running_loop()
        self._roused, self._wanted = loop.create_future(), wanted
        alarm = loop.call_later(most_s, self._rouse) if most_s is not None else None
        try:
            await self._roused
        finally:
            self._wanted = math.inf
            if alarm is not None:
                alarm.cancel()

    def _rouse(self) -> None:
        self._wanted = math.inf
        if self._roused is not None and not self._roused.done():
            self._roused.set_result(None)

    async def _write_batch(self, batch: list[Operation]) -> bool:
        """Write what is next. False when it must be tried again."""
        answers = None
        try:
            answers = await self._send(batch)
        finally:
            if answers is None:
                self._pending.extendleft(reversed(batch))
        if answers is None:
            return False
        now = time.monotonic()  # one number for all: there are tens of thousands of them
        for operation, answer in zip(batch, answers, strict=True):
            operation.answered(answer)
            if answer == WON or not operation.is_mark:
                self.memory.keep(operation, now)
        return True

    def _next_batch(self) -> list[Operation]:
        """The longest run of operations of one campaign from the front, without those nobody waits for any more."""
        batch: list[Operation] = []
        while self._pending and len(batch) < BATCH:
            operation = self._pending.popleft()
            if operation.is_withdrawn:
                continue
            if batch and operation.campaign_id != batch[0].campaign_id:
                self._pending.appendleft(operation)
                break
            batch.append(operation)
        return batch

    async def _send(self, batch: list[Operation]) -> list[int] | None:
        """The answers, or None when Redis could not be asked or did not write."""
        campaign_id = batch[0].campaign_id
        outcomes = [operation for operation in batch if not operation.is_mark]
        events = [operation.event for operation in outcomes]
        keys = [self._keys.campaign(campaign_id), self._keys.suppressed]
        try:
            answers: list[int] = await TRANSITION(
                self._redis, keys, self._keys.base(campaign_id), _columns(batch, outcomes), *events
            )
        except (*PASSING, exceptions.ResponseError) as error:
            if str(error).startswith("NOCAMPAIGN"):
                log.error("ledger is gone", campaign=campaign_id, outcomes=len(batch))
                for operation in batch:
                    operation.tell()
                return [LOST] * len(batch)
            if is_damage(error):
                return await self._apart(batch, error)
            self._away(error)
            return None
        if not self.is_recording:
            log.info("recording again", waiting=len(self._pending))
            self.is_recording = True
        return answers

    async def _apart(self, batch: list[Operation], error: Exception) -> list[int] | None:
        """Write one by one what could not be written together: what was planted in one chunk stops no other."""
        if len(batch) > 1:
            answers: list[int] = []
            for operation in batch:
                answer = await self._send([operation])
                if answer is None:
                    return None
                answers += answer
            return answers
        (operation,) = batch
        log.error("a record is damaged", campaign=operation.campaign_id, chunk=operation.chunk, cause=str(error))
        operation.tell()
        return [LOST]

    def _give_up(self) -> None:
        """What nobody could write is at least told, so that it can be settled by hand."""
        for operation in self._pending:
            operation.tell()
            if operation.granted is not None:
                operation.granted.cancel()
            else:
                operation.answered(LOST)
        self._pending.clear()

    def _away(self, error: Exception) -> None:
        if self.is_recording:
            log.error(
                "cannot record, not sending", cause=str(error) or type(error).__name__, waiting=len(self._pending)
            )
        self.is_recording = False


def _columns(batch: list[Operation], outcomes: list[Operation]) -> bytes:
    """As `transition.lua` reads them."""
    return _encode(
        (
            [operation.chunk for operation in batch],
            [str(operation.index) for operation in batch],
            [operation.token for operation in batch],
            [operation.address for operation in batch],
            [operation.letter for operation in batch],
            [operation.counted for operation in outcomes],
            [operation.due_ms for operation in outcomes],
            [operation.note for operation in outcomes],
        )
    )
