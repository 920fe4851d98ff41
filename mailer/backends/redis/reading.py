"""The reader's side of the ledger: every recipient of a campaign, streamed."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from mailer.backends.redis.campaigns import Campaigns
from mailer.backends.redis.entries import Entry, read_entries, read_roster
from mailer.backends.redis.events import STATES
from mailer.backends.redis.packing import unpack
from mailer.backends.redis.zstd import decompress
from mailer.policy.message_id import message_id
from mailer.policy.reasons import queue_id
from mailer.vocabulary.outcome import Class
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.recipient import LeftOut, State
from mailer.vocabulary.report import RecipientRecord

if TYPE_CHECKING:
    from mailer.vocabulary.campaign import Campaign, CampaignStatus

CHUNKS_AT_ONCE = 32

_read_left_out = msgspec.msgpack.Decoder(list[LeftOut]).decode


class RedisReading:
    """Implements `interfaces.ledger.ReportLedger`."""

    def __init__(self, campaigns: Campaigns) -> None:
        self._campaigns = campaigns
        self._redis = campaigns.redis
        self._keys = campaigns.keys

    async def status(self, campaign_id: str) -> "CampaignStatus":
        """Where the campaign stands."""
        return await self._campaigns.status(campaign_id)

    async def records(self, campaign: "Campaign") -> AsyncIterator[RecipientRecord]:
        """Every recipient, ordered by row; each chunk of them is read in one step, so nobody is seen twice or not."""
        base = self._keys.base(campaign.id)
        chunks = int(await self._redis.hget(self._keys.campaign(campaign.id), "chunks") or 0)
        for start in range(0, chunks, CHUNKS_AT_ONCE):
            numbers = range(start, min(chunks, start + CHUNKS_AT_ONCE))
            async with self._redis.pipeline(transaction=True) as pipe:
                for n in numbers:
                    for part in "fao":
                        pipe.get(f"{base}{part}:{n}")
                    pipe.hgetall(f"{base}s:{n}")
                answers = await pipe.execute()
            for k in range(len(numbers)):
                final, roster, log, values = answers[4 * k : 4 * k + 4]
                entries = unpack(final) if final else []
                if roster is not None:
                    entries += read_entries(read_roster(roster), values, log or b"")
                    entries.sort(key=lambda entry: entry.index)
                first: dict[int, str] = {}
                for entry in entries:
                    # One message goes to all recipients of a row, and they stand in one chunk.
                    yield record_of(entry, campaign, first.setdefault(entry.row, entry.email))

    async def left_out(self, campaign: "Campaign") -> AsyncIterator[LeftOut]:
        """The rows that never became recipients, in the order of the source; those of appended lists after them."""
        base = self._keys.base(campaign.id)
        for key in (base + "l", base + "la"):
            for position in range(await self._redis.llen(key)):
                blob = await self._redis.lindex(key, position)
                for row in _read_left_out(decompress(blob)) if blob else []:
                    yield row


def record_of(entry: Entry, campaign: "Campaign", first: str) -> RecipientRecord:
    """What the report says of a recipient. `first` is the address of the first one of its row."""
    name = f"{first} {entry.row}" if campaign.keeps_duplicates else first
    state = STATES[entry.letter]
    event = entry.decisive
    tries = [event for event in entry.events if event.begun_ms is not None]
    begun = tries[0].begun_ms if tries else None
    text = event.text if event is not None else None
    return RecipientRecord(
        row=entry.row,
        email=entry.email,
        state=state,
        code=event.code if event is not None else None,
        enhanced_code=event.enhanced_code if event is not None else None,
        text=text,
        phase=Phase(event.phase) if event is not None and event.phase else None,
        failure=Class(event.failure) if event is not None and event.failure else None,
        reason=event.reason if event is not None else None,
        attempts=entry.attempts,
        first_try=_time(begun),
        last_try=_time(tries[-1].at_ms if tries else None),
        next_try=_time(entry.due_ms),
        queue_ms=max(0, begun - entry.accepted_ms) if begun is not None else None,
        smtp_ms=event.smtp_ms if event is not None else None,
        message_id=message_id(bytes.fromhex(campaign.salt), campaign.id, name, campaign.message_domain),
        server_queue_id=queue_id(text) if text and state is State.SENT else None,
        relay=event.relay if event is not None else None,
        worker=event.worker if event is not None else None,
        tls=event.tls if event is not None else None,
    )


def _time(ms: int | None) -> datetime | None:
    return datetime.fromtimestamp(ms / 1000, UTC) if ms is not None else None
