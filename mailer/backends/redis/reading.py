"""The reader's side of the ledger: every recipient of a campaign, streamed."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from mailer.backends.redis.campaigns import Campaigns
from mailer.backends.redis.damage import legible
from mailer.backends.redis.entries import Entry, read_entries, read_roster
from mailer.backends.redis.events import STATES
from mailer.backends.redis.late import add_late, said_of
from mailer.backends.redis.lines import Wanted, lines_of
from mailer.backends.redis.packing import read_packed, unpack
from mailer.backends.redis.sums import add_entry, add_packed
from mailer.backends.redis.zstd import decompress
from mailer.policy.message_id import MessageIds
from mailer.policy.reasons import queue_id
from mailer.vocabulary.line import Line, line_of
from mailer.vocabulary.outcome import Class
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.recipient import LeftOut, State
from mailer.vocabulary.report import RecipientRecord

if TYPE_CHECKING:
    from mailer.policy.tally import Tally
    from mailer.vocabulary.campaign import Campaign, CampaignStatus

Identify = Callable[[str, int], str]

CHUNKS_AT_ONCE = 64
EVERYBODY = Wanted()

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
        identify = identifying(campaign)
        with legible(campaign.id):
            async for chunk in self._chunks(campaign.id):
                for entry, first in _with_first(chunk.entries()):
                    yield record_of(entry, campaign, first, identify)

    async def lines(self, campaign: "Campaign", wanted: Wanted = EVERYBODY) -> AsyncIterator[list[Line]]:
        """The same as `records` for those who are wanted, in the form that lists are written in, chunk by chunk."""
        letters, identify = wanted.letters, identifying(campaign)

        def make(entry: Entry, first: str) -> Line:
            return line_of(record_of(entry, campaign, first, identify))

        with legible(campaign.id):
            async for chunk in self._chunks(campaign.id):
                if chunk.is_packed:
                    packed = read_packed(chunk.final)
                    yield list(lines_of(packed, wanted, message_id=identify, line_of_entry=make))
                else:
                    yield [
                        make(entry, first)
                        for entry, first in _with_first(chunk.entries())
                        if entry.letter in letters and wanted.domain in (None, entry.email.rpartition("@")[2])
                    ]

    async def add_up(self, campaign: "Campaign", tally: "Tally") -> None:
        """Add everybody to the tally; each chunk of them as of one moment, so nobody is counted twice or not."""
        with legible(campaign.id):
            async for chunk in self._chunks(campaign.id):
                if chunk.is_packed:
                    add_packed(tally, read_packed(chunk.final))
                else:
                    for entry in chunk.entries():
                        add_entry(tally, entry)

    async def _chunks(self, campaign_id: str) -> AsyncIterator["_Chunk"]:
        base = self._keys.base(campaign_id)
        chunks = int(await self._redis.hget(self._keys.campaign(campaign_id), "chunks") or 0)
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
                yield _Chunk(final or b"", roster, log or b"", values)

    async def left_out(self, campaign: "Campaign") -> AsyncIterator[LeftOut]:
        """The rows that never became recipients, in the order of the source; those of appended lists after them."""
        base = self._keys.base(campaign.id)
        for key in (base + "l", base + "la"):
            for position in range(await self._redis.llen(key)):
                blob = await self._redis.lindex(key, position)
                for row in _read_left_out(decompress(blob)) if blob else []:
                    yield row


@dataclass(frozen=True, slots=True)
class _Chunk:
    """What a reader needs of a chunk."""

    final: bytes
    roster: bytes | None
    log: bytes
    values: Mapping[bytes, bytes]

    @property
    def is_packed(self) -> bool:
        """True when all that there is to know stands in `f:n`."""
        return bool(self.final) and self.roster is None and not self.log

    def entries(self) -> list[Entry]:
        """Everybody in it, in the order of their index."""
        entries = unpack(self.final) if self.final else []
        add_late(entries, self.log)
        if self.roster is not None:
            entries += read_entries(read_roster(self.roster), self.values, self.log)
            entries.sort(key=lambda entry: entry.index)
        return entries


def _with_first(entries: list[Entry]) -> list[tuple[Entry, str]]:
    """Each with the first address of its row: one message goes to all of them, and they stand in one chunk."""
    first: dict[int, str] = {}
    return [(entry, first.setdefault(entry.row, entry.email)) for entry in entries]


def identifying(campaign: "Campaign") -> Identify:
    """The Message-ID by the first address of a row and its number."""
    ids = MessageIds(bytes.fromhex(campaign.salt), campaign.id, campaign.message_domain)
    by_row = campaign.keeps_duplicates

    def identify(first: str, row: int) -> str:
        return ids.of(f"{first} {row}" if by_row else first)

    return identify


def record_of(entry: Entry, campaign: "Campaign", first: str, identify: Identify | None = None) -> RecipientRecord:
    """What the report says of a recipient. `first` is the address of the first one of its row.

    `identify` is `identifying(campaign)`: made once where there are many.
    """
    state = STATES[entry.letter]
    event = entry.decisive
    tries = [event for event in entry.events if event.begun_ms is not None]
    begun = tries[0].begun_ms if tries else None
    text = said_of(entry, event)
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
        message_id=(identify or identifying(campaign))(first, entry.row),
        server_queue_id=queue_id(text) if text and state is State.SENT else None,
        relay=event.relay if event is not None else None,
        worker=event.worker if event is not None else None,
        tls=event.tls if event is not None else None,
    )


def _time(ms: int | None) -> datetime | None:
    return datetime.fromtimestamp(ms / 1000, UTC) if ms is not None else None
