"""The watch over the queue server: no claims while it cannot record, may evict, or lacks what workers remember."""

import asyncio
from typing import TYPE_CHECKING

import structlog
from redis import RedisError

from mailer.backends.redis.fleet import HEALTHY
from mailer.backends.redis.gate import OTHER_START
from mailer.vocabulary.errors import MailerError, QueueError, UsageError
from mailer.worker.heartbeat import lease_clock

if TYPE_CHECKING:
    from mailer.backends.redis.gate import Gate
    from mailer.backends.redis.recorder import Recorder
    from mailer.backends.redis.replay import Replayer
    from mailer.worker.heartbeat import Beat, Heartbeat

WAIT_S = 2.0
"""How long a chunk waits for the end of a trouble before it is put back into the queue."""
LOOK_S = 0.1
"""Between two questions whether those who are waited for are there."""
GONE, WAITING = "E514", "W514"

log = structlog.get_logger("mailer.worker")


class Watch:
    """Hears every heartbeat. Implements `backends.redis.delivery.Doorkeeper`. Use as an async context manager.

    It says a trouble once, and again when it becomes another; what it cannot mend itself it waits for. Only a ledger
    that is not the one that was there ends it: `gone` is set then, and `check` raises.
    """

    def __init__(
        self,
        owner: str,
        heartbeat: "Heartbeat",
        gate: "Gate",
        replayer: "Replayer",
        recorder: "Recorder",
        lease_s: float,
    ) -> None:
        self._owner = owner
        self._heartbeat = heartbeat
        self._gate = gate
        self._replayer = replayer
        self._recorder = recorder
        self._lease_s = lease_s
        self._run_id = ""
        self._heard = asyncio.Event()
        self._open = asyncio.Event()
        self._trouble: MailerError | None = None
        self._since = lease_clock()
        self._steady_since = lease_clock()
        self._task: asyncio.Task[None] | None = None
        self.gone = asyncio.Event()

    async def __aenter__(self) -> "Watch":
        loop = asyncio.get_running_loop()
        self._heartbeat.heard = lambda: loop.call_soon_threadsafe(self._heard.set)
        await self._look()
        self._task = asyncio.create_task(self._keep())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._heartbeat.heard = lambda: None
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    @property
    def steady_s(self) -> float:
        """Seconds for which the queue server has answered, and claims were given, without a gap."""
        return lease_clock() - self._steady_since if self._open.is_set() else 0.0

    async def may_claim(self) -> bool:
        """True when claims may be asked for; waits a moment for it when they may not."""
        try:
            async with asyncio.timeout(WAIT_S):
                await self._open.wait()
        except TimeoutError:
            return False
        return True

    def was_barred(self) -> None:
        """A claim was asked for while the gate was closed: look at once."""
        self._open.clear()
        self._heartbeat.hurry()

    def check(self) -> None:
        """Raise what has ended the watch, if anything did."""
        if self.gone.is_set() and self._trouble is not None:
            raise self._trouble

    async def _keep(self) -> None:
        while not self.gone.is_set():
            # While others are waited for, the gate is asked more often than the heart beats.
            wait_s = None if self._open.is_set() or self._heartbeat.last.trouble else LOOK_S
            try:
                async with asyncio.timeout(wait_s):
                    await self._heard.wait()
            except TimeoutError:
                pass
            self._heard.clear()
            await self._look()

    async def _look(self) -> None:
        """Act on what the last beat has found."""
        beat = self._heartbeat.last
        if beat.answered_at - beat.asked_at > self._lease_s / 2:
            # So long without an answer, others have missed their beats as well.
            self._steady_since = lease_clock()
        try:
            trouble = beat.trouble or await self._settle(beat)
        except MailerError as error:
            trouble = error
        except (RedisError, OSError) as error:
            trouble = self._heartbeat.meaning(error)
        except Exception:
            log.exception("cannot put back what this worker remembers")
            return
        self._say(trouble)

    async def _settle(self, beat: "Beat") -> MailerError | None:
        """Put back what this start of the server may have forgotten, and wait for the others that do."""
        if beat.run_id != self._run_id:
            if self._run_id:
                self._open.clear()
                await self._replayer.replay()
            self._run_id = beat.run_id
        elif self._open.is_set():
            self._recorder.memory.forget()
            return None
        waiting = await self._gate.announce(self._owner, self._run_id)
        if waiting == OTHER_START:
            self._heartbeat.hurry()
        return _waiting() if waiting else None

    def _say(self, trouble: MailerError | None) -> None:
        before, self._trouble = self._trouble, trouble
        self._heartbeat.health = HEALTHY if trouble is None else f"{trouble.code} {trouble.message}"
        if trouble is None:
            if not self._open.is_set():
                self._steady_since = lease_clock()
                self._open.set()
            if before is not None:
                log.warning("claiming again", after_s=round(lease_clock() - self._since, 1))
            return
        self._open.clear()
        if before is None:
            self._since = lease_clock()
        if before is None or (before.code, before.message) != (trouble.code, trouble.message):
            tell = log.info if trouble.code == WAITING else log.error
            tell("nothing is claimed", code=trouble.code, reason=trouble.message, hint=trouble.hint)
        if isinstance(trouble, UsageError) and trouble.code == GONE:
            for operation in self._recorder.memory:
                operation.tell()
            self.gone.set()


def _waiting() -> QueueError:
    """The server was started again: others have still to say what they remember."""
    return QueueError(
        WAITING,
        "the queue server was started again: nothing is claimed before every worker has put back what it remembers",
        hint="nothing: one that died is waited for as long as its lease",
    )
