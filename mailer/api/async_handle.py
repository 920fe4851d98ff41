"""A campaign in the ledger, for asynchronous programs: wait for it, listen to it, stop it, read its report."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mailer.api.report import AsyncReport
from mailer.flow.reporting import make_report
from mailer.policy.selection import select
from mailer.vocabulary.errors import StoppedWaitingError, UsageError
from mailer.vocabulary.reply import sanitise

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mailer.api.desk import Desk
    from mailer.vocabulary.acts import Retried
    from mailer.vocabulary.campaign import CampaignStatus
    from mailer.vocabulary.event import RecipientEvent
    from mailer.vocabulary.report import RecipientRecord

ATTEND_S = 1.0
"""Seconds between two looks at whether anybody still works."""


class AsyncHandle:
    """One campaign, by its id. Cheap to make, and to forget: the campaign goes on without it."""

    def __init__(self, desk: "Desk", campaign_id: str) -> None:
        self._desk = desk
        self.id = campaign_id

    def __repr__(self) -> str:
        return f"AsyncHandle({self.id!r})"

    async def status(self) -> "CampaignStatus":
        """State, totals and, when paused, the reason; read in one step."""
        with self._desk.explaining():
            return await self._desk.reading.status(self.id)

    async def wait(self, timeout: float | None = None) -> "CampaignStatus":
        """Until the campaign is finished, cancelled or paused; without a worker anywhere, this program is one.

        Raises:
            StoppedWaitingError: E511 after `timeout` seconds.
            RelayError: there is no worker but this program, and the relay does not take it.
        """
        return await self._wait(timeout, tried=False)

    async def _wait(self, timeout: float | None, *, tried: bool) -> "CampaignStatus":
        clock = asyncio.get_running_loop().time
        until = clock() + timeout if timeout is not None else None
        attended_at: float | None = None
        while True:
            status = await self.status()
            if status.is_over:
                return status
            if attended_at is None or clock() - attended_at >= ATTEND_S:
                attended_at = clock()
                await self._desk.attend(status, tried=tried)
            if until is not None and clock() >= until:
                raise StoppedWaitingError(
                    "E511",
                    f"{self.id} is not finished after {timeout:g} s: {status.totals.open} still queued",
                    hint=f"wait again, or mailer status {self.id}",
                    safe="Nothing is lost.",
                    retryable=True,
                )
            look_s = self._desk.look_s
            await asyncio.sleep(look_s if until is None else max(0.0, min(look_s, until - clock())))

    async def events(self) -> "AsyncIterator[RecipientEvent]":
        """Every event of every recipient, from the campaign's beginning until it is finished, cancelled or paused.

        Read from the ledger a few times a second, so a late or slow listener misses nothing: it is only later. Without
        a worker anywhere this program is one, as in `wait`.
        """
        listener = self._desk.listener(self.id)
        clock = asyncio.get_running_loop().time
        attended_at: float | None = None
        while True:
            # Before the look, so that whatever made it over is among the news.
            status = await self.status()
            if not status.is_over and (attended_at is None or clock() - attended_at >= ATTEND_S):
                attended_at = clock()
                await self._desk.attend(status)
            news = listener.news()
            while True:
                with self._desk.explaining():
                    event = await anext(news, None)
                if event is None:
                    break
                yield event
            if status.is_over:
                return
            await asyncio.sleep(listener.pause_s)

    async def pause(self, reason: str) -> bool:
        """Stop it, for a reason that is shown everywhere. False when it was paused already: the reason is now this one.

        Raises `UsageError` E114 when it neither runs nor is paused.
        """
        with self._desk.explaining():
            return await self._desk.control.pause(self.id, sanitise(reason))

    async def resume(self) -> bool:
        """Let it go on. False when it ran already. Raises `UsageError` E114 when it is not paused."""
        with self._desk.explaining():
            return await self._desk.control.resume(self.id)

    async def cancel(self, reason: str = "") -> int:
        """Cancel for good whoever waits; what is in flight finishes. Returns how many were cancelled.

        Raises `UsageError` E114 when it is finished already.
        """
        with self._desk.explaining():
            return await self._desk.control.cancel(self.id, sanitise(reason))

    async def retry(
        self,
        *,
        state: str | Iterable[str] | None = None,
        code: str | Iterable[str] | None = None,
        domain: str | None = None,
        limit: int | None = None,
    ) -> "Retried":
        """Queue recipients again, with the same Message-ID; by default the deferred, failed and refused ones.

        Args:
            state: One or several of `deferred`, `failed`, `refused`, and `in_doubt`, which has to be named.
            code: Reply codes or classes: `"552"`, `"4xx"`.
            domain: Only recipients of this domain.
            limit: At most so many, in the order of their rows.

        Raises:
            UsageError: E101 for words that are none of these, E114 when the campaign was cancelled or is a draft.
        """
        try:
            selection = select(_joined(state), _joined(code), domain, limit)
        except ValueError as error:
            raise UsageError("E101", str(error)) from None
        with self._desk.explaining():
            return await self._desk.control.retry(self.id, selection)

    async def report(self) -> AsyncReport:
        """One snapshot of everything that is known."""
        with self._desk.explaining():
            status = await self._desk.reading.status(self.id)
            figures = await make_report(self._desk.reading, self.id, now=datetime.now(UTC))
        due = status.next_due_ms
        next_try = datetime.fromtimestamp(due / 1000, UTC) if due is not None else None
        return AsyncReport(figures, next_try, self.recipients)

    async def recipients(self) -> "AsyncIterator[RecipientRecord]":
        """Everything that is known of every recipient, ordered by row, streamed."""
        status = await self.status()
        records = self._desk.reading.records(status.campaign)
        while True:
            with self._desk.explaining():
                record = await anext(records, None)
            if record is None:
                return
            yield record


def _joined(words: str | Iterable[str] | None) -> str | None:
    return words if words is None or isinstance(words, str) else ",".join(words)
