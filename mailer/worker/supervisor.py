"""The supervisor: keeps N worker processes running, and ends them in order."""

import asyncio
import json
import signal
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from mailer.config.orders import write_orders
from mailer.vocabulary.errors import MailerError, QueueError, UsageError

if TYPE_CHECKING:
    from mailer.config.orders import Orders

LONGEST_PAUSE_S = 30.0
MOST_STILLBORN, STILLBORN_S = 5, 5.0
"""Processes that may end within so many seconds, one after the other, before that is an error and no bad luck."""
LONG_ENOUGH_S = 60.0
"""A process that lived so long did not fail at its start."""

log = structlog.get_logger("mailer.worker")


@dataclass(slots=True)
class Supervisor:
    """Starts `processes` workers with the same orders; a worker that dies is replaced, after a growing pause.

    `stop` once drains them, twice ends them at once. `counts` adds up what they did, when they have ended.
    """

    orders: "Orders"
    processes: int = 1
    counts: Counter[str] = field(default_factory=Counter)
    _children: "set[asyncio.subprocess.Process]" = field(default_factory=set)
    _errors: list[MailerError] = field(default_factory=list)
    _stops: int = 0
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Run until stopped, or in a burst until every worker has nothing left to do.

        Raises `MailerError` when a worker cannot start because of its settings or its queue server.
        """
        async with asyncio.TaskGroup() as group:
            for _ in range(self.processes):
                group.create_task(self._keep())
        if self._errors:
            raise self._errors[0]

    def stop(self) -> None:
        """Drain; the second time, end at once."""
        self._stops += 1
        self._stopping.set()
        for child in self._children:
            if child.returncode is None:
                child.send_signal(signal.SIGTERM)

    async def _keep(self) -> None:
        pause = 0.5
        is_first = True
        stillborn = 0
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            started_at = loop.time()
            status = 0
            try:
                status = await self._one()
                if status == 0:
                    return
            except MailerError as error:
                if is_first or not error.retryable:
                    # The others may be amid their messages: they drain.
                    self._errors.append(error)
                    self.stop()
                    return
                # It was there when the first one began: it is waited for, as those that run wait for it.
                log.warning("a worker cannot start", code=error.code, reason=error.message)
            is_first = False
            lived_s = loop.time() - started_at
            # Ended by itself, and not killed by somebody.
            stillborn = stillborn + 1 if lived_s < STILLBORN_S and status > 0 else 0
            if stillborn == MOST_STILLBORN:
                self._errors.append(_cannot_start())
                self.stop()
                return
            pause = 0.5 if lived_s > LONG_ENOUGH_S else min(LONGEST_PAUSE_S, pause * 2)
            try:
                async with asyncio.timeout(pause):
                    await self._stopping.wait()
            except TimeoutError:
                continue

    async def _one(self) -> int:
        """Run one process to its end. 0 when it ended as it should, else its exit status."""
        # A session of its own: Ctrl-C on the terminal reaches the supervisor, which says once what is to happen.
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            # Not from the current folder, whatever lies there.
            "-P",
            "-m",
            "mailer.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        self._children.add(child)
        try:
            assert child.stdin is not None  # noqa: S101 (a pipe)
            assert child.stdout is not None  # noqa: S101 (a pipe)
            child.stdin.write(write_orders(self.orders))
            for _ in range(self._stops):
                child.send_signal(signal.SIGTERM)
            words = await child.stdout.read()
            status = await child.wait()
        finally:
            self._children.discard(child)
            if child.returncode is None:
                child.kill()
                await child.wait()
        answer = answer_of(words)
        self.counts.update(answer.get("counts", {}))
        if "error" in answer:
            raise _error(answer)
        if status == 0 or (status == -signal.SIGTERM and self._stopping.is_set()):
            # Or it was told to end before it could listen; it had begun nothing.
            return 0
        log.error("a worker died", status=status)
        return status


def _cannot_start() -> QueueError:
    return QueueError(
        "E515",
        f"workers cannot start: {MOST_STILLBORN} in a row have died at once",
        hint="python -m mailer.worker </dev/null   shows why; the log above may, too",
        safe="Nothing is lost: what was accepted stays in the queue.",
    )


def answer_of(words: bytes) -> dict[str, Any]:
    """The last line of a process's output; nothing where that is none of ours."""
    try:
        answer = json.loads(words.splitlines()[-1])
    except (IndexError, ValueError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _error(answer: dict[str, Any]) -> MailerError:
    told = answer["error"]
    kind = QueueError if answer["exit_code"] == QueueError.exit_code else UsageError
    return kind(
        told["code"],
        told["message"],
        where=told["where"],
        hint=told["hint"],
        cause=told["cause"],
        retryable=told["retryable"],
    )
