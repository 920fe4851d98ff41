"""Marks and outcomes of every connection of the process, travelling together in one script call a loop turn."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog
from redis import exceptions

from mailer.backends.redis.connection import PASSING
from mailer.backends.redis.events import STATES, read_events
from mailer.backends.redis.scripts import TRANSITION

if TYPE_CHECKING:
    from mailer.backends.redis.keys import Keys
    from mailer.backends.redis.server import Server

BATCH = 500
LONGEST_PAUSE_S = 1.0
GRACE_S = 5.0
"""How long the end of a recorder waits for a server that is away."""

WON, LATE, NOT_RUNNING, SUPPRESSED, LOST = 1, 2, -1, -2, 0
"""Answers of `transition.lua`."""

log = structlog.get_logger("mailer.ledger")


@dataclass(slots=True)
class Operation:
    """One mark or outcome on its way; `answer` is set when Redis has answered."""

    campaign_id: str
    arguments: tuple[str | bytes | int, ...]
    answer: "asyncio.Future[int]"
    withdrawn: bool = field(default=False)


class Recorder:
    """Writes in the order it was asked, and keeps trying while Redis is away: an outcome once known is not given up.

    One task does all the writing, so a script call is never cancelled half-way. Use it as an async context manager.
    """

    def __init__(self, redis: "Server", keys: "Keys", *, grace_s: float = GRACE_S) -> None:
        self._redis = redis
        self._keys = keys
        self._grace_s = grace_s
        self._pending: deque[Operation] = deque()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self.is_recording = True

    async def __aenter__(self) -> "Recorder":
        self._task = asyncio.create_task(self._write())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        self._wake.set()
        if self._task is None:
            return
        await asyncio.wait([self._task], timeout=self._grace_s)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
            self._give_up()

    def submit(self, campaign_id: str, *arguments: str | bytes | int) -> Operation:
        """Queue one operation in the form `transition.lua` reads; returns at once."""
        operation = Operation(campaign_id, arguments, asyncio.get_running_loop().create_future())
        self._pending.append(operation)
        self._wake.set()
        return operation

    async def _write(self) -> None:
        pause = 0.05
        while not (self._closing and not self._pending):
            if not self._pending:
                self._wake.clear()
                await self._wake.wait()
                continue
            if not (batch := self._next_batch()):
                continue
            answers = None
            try:
                answers = await self._send(batch)
            finally:
                if answers is None:
                    self._pending.extendleft(reversed(batch))
            if answers is None:
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE_S, pause * 2)
                continue
            pause = 0.05
            for operation, answer in zip(batch, answers, strict=True):
                if not operation.answer.done():
                    operation.answer.set_result(answer)

    def _next_batch(self) -> list[Operation]:
        """The longest run of operations of one campaign from the front, without those nobody waits for any more."""
        batch: list[Operation] = []
        while self._pending and len(batch) < BATCH:
            operation = self._pending[0]
            if operation.withdrawn:
                self._pending.popleft()
                continue
            if batch and operation.campaign_id != batch[0].campaign_id:
                break
            batch.append(self._pending.popleft())
        return batch

    async def _send(self, batch: list[Operation]) -> list[int] | None:
        """The answers, or None when Redis could not be asked or did not write."""
        campaign_id = batch[0].campaign_id
        arguments = [argument for operation in batch for argument in operation.arguments]
        keys = [self._keys.campaign(campaign_id), self._keys.suppressed]
        try:
            answers: list[int] = await TRANSITION(self._redis, keys, self._keys.base(campaign_id), *arguments)
        except (*PASSING, exceptions.ResponseError) as error:
            if str(error).startswith("NOCAMPAIGN"):
                log.error("ledger is gone", campaign=campaign_id, outcomes=len(batch))
                return [LOST] * len(batch)
            self._away(error)
            return None
        if not self.is_recording:
            log.info("recording again", waiting=len(self._pending))
            self.is_recording = True
        return answers

    def _give_up(self) -> None:
        """What nobody could write is at least told, so that it can be settled by hand."""
        for operation in self._pending:
            kind, chunk, index, _, letter, *rest = operation.arguments
            if kind == "o" and letter != "q":
                told = [event.code for word in rest if isinstance(word, bytes) for event in read_events(word)]
                log.error(
                    "not recorded",
                    campaign=operation.campaign_id,
                    chunk=chunk,
                    index=index,
                    state=STATES[str(letter)].value,
                    code=told[0] if told else None,
                )
            operation.answer.cancel()
        self._pending.clear()

    def _away(self, error: Exception) -> None:
        if self.is_recording:
            log.error(
                "cannot record, not sending", cause=str(error) or type(error).__name__, waiting=len(self._pending)
            )
        self.is_recording = False
