"""A post office in memory: a ledger, a relay, and the production's own delivery between them."""

from typing import TYPE_CHECKING, Literal

from mailer.backends.memory.books import Books
from mailer.backends.memory.control import MemoryControl
from mailer.backends.memory.delivery import MemoryDelivery, is_due
from mailer.backends.memory.intake import MemoryIntake
from mailer.backends.memory.reading import MemoryListener, MemoryReading
from mailer.capture.chaos import Behaviour
from mailer.flow.delivery import Delivery
from mailer.flow.run import Route
from mailer.policy.addressing import parse_address
from mailer.testing.messages import Outbox
from mailer.testing.relay import NAME, MemoryRelay
from mailer.vocabulary.campaign import CampaignState
from mailer.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailer.interfaces.limiter import Bucket
    from mailer.vocabulary.campaign import Campaign

RefusedAfter = Literal["rcpt", "dot"]
"""What the relay says no to: the recipient, or the message."""


class Post:
    """What mailers in memory share. Addresses behave as those of `mailer capture` do, unless a test says otherwise."""

    def __init__(self) -> None:
        self.books = Books()
        self.relay = MemoryRelay()
        self.intake = MemoryIntake(self.books)
        self.reading = MemoryReading(self.books)
        self.control = MemoryControl(self.books)
        self.outbox = Outbox(lambda: [taken.content for taken in self.relay.taken])
        """The messages that were taken, oldest first, one for each transaction."""

    def refuse(
        self, address: str, code: int = 550, text: str = "5.1.1 unknown user", *, after: RefusedAfter = "rcpt"
    ) -> None:
        """The relay says no for good: to the recipient, or `after="dot"` to the message. Any 5xx, else E101."""
        line = _line(code, text, "refuse", 5)
        if after not in ("rcpt", "dot"):
            raise UsageError("E101", f'refuse(after={after!r}): "rcpt" or "dot"', hint='refuse(address, after="dot")')
        self.relay.plan(address, Behaviour(to_recipient=line) if after == "rcpt" else Behaviour(to_message=line))

    def defer(
        self, address: str, code: int = 451, text: str = "4.3.0 try again later", *, for_ever: bool = False
    ) -> None:
        """The relay says later, the first time only or every time. Any 4xx, else E101."""
        line = _line(code, text, "defer", 4)
        self.relay.plan(address, Behaviour(to_recipient=line, only_once=not for_ever))

    def drop(self, address: str) -> None:
        """The relay takes the message and ends the connection without an answer."""
        self.relay.plan(address, Behaviour(drops=True))

    def suppress(self, address: str) -> None:
        """Put an address on the do-not-send list."""
        self.books.suppressed.add(parse_address(address).key)

    def listener(self, campaign_id: str) -> MemoryListener:
        """Somebody who has heard nothing of this campaign yet."""
        return MemoryListener(self.books, campaign_id)

    async def work(self, campaign_id: str) -> None:
        """Send what is queued, and what is due later as if it were later already, until nothing is left to do."""
        delivery = Delivery(MemoryDelivery(self.books), self._route, "memory", _NoLimit())
        book = self.books.book(campaign_id)
        while True:
            with self.books.lock:
                if book.state is CampaignState.SCHEDULED:
                    self.books.wait_until(book.at_ms or 0)
                    book.state = CampaignState.RUNNING
                    book.settle(self.books.now_ms())
                if book.state is not CampaignState.RUNNING or not book.totals.open:
                    return
                if not book.counts["queued"] and (due_ms := book.next_due_ms) is not None:
                    self.books.wait_until(due_ms)
                now_ms = self.books.now_ms()
                due = [n for n, chunk in enumerate(book.chunks) if any(is_due(each, now_ms) for each in chunk)]
            if not due:
                return
            for chunk in due:
                await delivery.work(campaign_id, chunk)

    def _route(self, campaign: "Campaign") -> Route:
        # A new one every time: trouble of the route makes nobody wait here.
        return Route(pool=self.relay, connections=1, line=NAME)


class _NoLimit:
    """Implements `interfaces.limiter.Limiter`: nobody waits in memory."""

    async def take(self, buckets: "Sequence[Bucket]", *, most_s: float) -> float:
        return 0.0


def _line(code: int, text: str, call: str, first: int) -> str:
    """The reply. Raises `UsageError` E101 for a code of another class than the call means (RFC 5321 section 4.2.1)."""
    if code // 100 != first:
        other = "defer" if code // 100 == 4 else "refuse"
        hint = f"{other}(address, {code})" if code // 100 in (4, 5) else f"{call}(address)"
        raise UsageError("E101", f"{call}(code={code}): a reply code from {first}00 to {first}99", hint=hint)
    return f"{code} {text}"
