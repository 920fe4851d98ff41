"""A campaign in the ledger, for plain programs: wait for it, listen to it, stop it, read its report."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from mailer.api.async_handle import AsyncHandle
from mailer.api.report import Report

if TYPE_CHECKING:
    from mailer.api.desk import Desk
    from mailer.api.mailer import Mailer
    from mailer.vocabulary.acts import Retried
    from mailer.vocabulary.campaign import CampaignStatus
    from mailer.vocabulary.event import RecipientEvent
    from mailer.vocabulary.report import RecipientRecord

T = TypeVar("T")

AT_ONCE = 500
"""Items that are fetched together: each step into the event loop's thread costs a tenth of a millisecond."""


class Handle:
    """One campaign, by its id. Every call waits; inside an event loop it raises E131."""

    def __init__(self, mailer: "Mailer", campaign_id: str) -> None:
        self._mailer = mailer
        self.id = campaign_id

    def __repr__(self) -> str:
        return f"Handle({self.id!r})"

    def status(self) -> "CampaignStatus":
        """State, totals and, when paused, the reason; read in one step."""
        return self._mailer.call(lambda desk: AsyncHandle(desk, self.id).status())

    def wait(self, timeout: float | None = None) -> "CampaignStatus":
        """Until the campaign is finished, cancelled or paused; without a worker anywhere, this program is one.

        Raises:
            StoppedWaitingError: E511 after `timeout` seconds.
            RelayError: there is no worker but this program, and the relay does not take it.
        """
        return self._mailer.call(lambda desk: AsyncHandle(desk, self.id).wait(timeout))

    def events(self) -> "Iterator[RecipientEvent]":
        """Every event of every recipient, from the campaign's beginning until it is finished, cancelled or paused."""
        return self._each(lambda desk: AsyncHandle(desk, self.id).events(), at_once=1)

    def pause(self, reason: str) -> bool:
        """Stop it, for a reason that is shown everywhere. False when it was paused already: the reason is now this one.

        Raises `UsageError` E114 when it neither runs nor is paused.
        """
        return self._mailer.call(lambda desk: AsyncHandle(desk, self.id).pause(reason))

    def resume(self) -> bool:
        """Let it go on. False when it ran already. Raises `UsageError` E114 when it is not paused."""
        return self._mailer.call(lambda desk: AsyncHandle(desk, self.id).resume())

    def cancel(self, reason: str = "") -> int:
        """Cancel for good whoever waits; what is in flight finishes. Returns how many were cancelled.

        Raises `UsageError` E114 when it is finished already.
        """
        return self._mailer.call(lambda desk: AsyncHandle(desk, self.id).cancel(reason))

    def retry(
        self,
        *,
        state: str | Iterable[str] | None = None,
        code: str | Iterable[str] | None = None,
        domain: str | None = None,
        limit: int | None = None,
    ) -> "Retried":
        """Queue recipients again, with the same Message-ID. As `AsyncHandle.retry`."""
        return self._mailer.call(
            lambda desk: AsyncHandle(desk, self.id).retry(state=state, code=code, domain=domain, limit=limit)
        )

    def report(self) -> Report:
        """One snapshot of everything that is known."""
        found = self._mailer.call(lambda desk: AsyncHandle(desk, self.id).report())
        return Report(found.figures, found.next_try, self._recipients)

    def _recipients(self) -> "Iterator[RecipientRecord]":
        return self._each(lambda desk: AsyncHandle(desk, self.id).recipients(), at_once=AT_ONCE)

    def _each(self, items: "Callable[[Desk], AsyncIterator[T]]", *, at_once: int) -> Iterator[T]:
        """The items of an asynchronous iterator, with the mailer open until the last or until it is left."""

        async def begin(desk: "Desk") -> AsyncIterator[T]:
            return items(desk)

        async def some(iterator: AsyncIterator[T]) -> list[T]:
            found: list[T] = []
            async for item in iterator:
                found.append(item)
                if len(found) == at_once:
                    break
            return found

        with self._mailer.opened() as portal:
            iterator = self._mailer.call(begin)
            while found := portal.call(some(iterator)):
                yield from found
