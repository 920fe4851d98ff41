"""Attached files: fetched from the ledger once, encoded once, and put into a message just before it goes out."""

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from mailer.policy.attachment_marks import digests_in, encode_file, fill
from mailer.vocabulary.envelope import MailData

if TYPE_CHECKING:
    from mailer.interfaces.ledger import DeliveryLedger
    from mailer.vocabulary.campaign import Campaign

MOST_KEPT = 32 * 2**20
"""Bytes of encoded files that a process keeps; one file that is larger is kept alone."""


class FileMissingError(LookupError):
    """A file that a message carries is not in the ledger, or is not what it was."""

    def __init__(self, digest: str) -> None:
        super().__init__(f"the attached file {digest} is missing or damaged")


class Attaching:
    """Fills messages. Keeps the files used last, encoded, whichever campaign they belong to: a digest is a content."""

    def __init__(self, ledger: "DeliveryLedger", most_kept: int = MOST_KEPT) -> None:
        self._ledger = ledger
        self._most_kept = most_kept
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._fetching: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def fill(self, campaign: "Campaign", data: MailData) -> MailData:
        """The message with its files, in which there is no dot to be doubled.

        Raises `FileMissingError`, and what a ledger that is away raises.
        """
        return MailData(fill(data, {digest: await self._body(campaign, digest) for digest in digests_in(data)}))

    async def _body(self, campaign: "Campaign", digest: str) -> bytes:
        if (body := self._known(digest)) is not None:
            return body
        if (lock := self._fetching.get(digest)) is None:
            lock = self._fetching[digest] = asyncio.Lock()
        # However many ask at once, one fetches, and whoever waited for him finds what he brought.
        async with lock:
            if (body := self._known(digest)) is not None:
                return body
            try:
                content = await self._ledger.attachment(campaign, digest)
            except LookupError as error:
                raise FileMissingError(digest) from error
            return self._keep(digest, encode_file(content))

    def _known(self, digest: str) -> bytes | None:
        body = self._kept.get(digest)
        if body is not None:
            self._kept.move_to_end(digest)
        return body

    def _keep(self, digest: str, body: bytes) -> bytes:
        self._kept[digest] = body
        self._size += len(body)
        while self._size > self._most_kept and len(self._kept) > 1:
            self._size -= len(self._kept.popitem(last=False)[1])
        return body
