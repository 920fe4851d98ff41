"""The packer against writers: what was written since it looked is never overwritten, whatever it looks like."""

import asyncio
from collections.abc import Sequence

import pytest

from mailer.backends.redis import closing
from mailer.backends.redis.chunk_parts import ChunkParts, read_parts
from mailer.backends.redis.events import Event, frame
from mailer.backends.redis.ledgers import Ledgers
from mailer.backends.redis.server import Server
from tests.ledger.campaigns import SENT, checked, deferred, drafts, records, running
from tests.ledger.hands import hand


async def test_an_event_as_long_as_the_one_before_is_not_lost(
    ledgers: Ledgers, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = await running(ledgers, drafts(range(1, 3)))
    base, looks = ledgers.keys.base(campaign.id), 0
    rewrite = "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('STRLEN', KEYS[1])"

    async def read_and_be_late(redis: Server, base: str, numbers: Sequence[int]) -> list[ChunkParts]:
        """Between this look and the packing, two other runs have packed and written as many bytes as there were."""
        nonlocal looks
        looks += 1
        found = await read_parts(redis, base, numbers)
        if looks == 1:
            later = Event(1, "d", 1_750_000_000_001, "greylisted", "AFTER_", "rcpt", "temporary", 451)
            length = await redis.eval(rewrite, 1, base + "o:0", log_of("before") + frame(later))
            assert length == len(found[0].outcomes)
        return found

    def log_of(text: str) -> bytes:
        return frame(Event(0, "S", 1_750_000_000_000, None, text, "dot", None, 250))

    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        worker.delivery.record(claim, claim.recipients[0], SENT)
        worker.delivery.record(claim, claim.recipients[1], deferred(claim.redis_ms + 10**6))
        await worker.written(claim)
        written = log_of("before") + frame(
            Event(1, "d", 1_750_000_000_001, "greylisted", "before", "rcpt", "temporary", 451)
        )
        await ledgers.redis.eval(rewrite, 1, base + "o:0", written)
        monkeypatch.setattr(closing, "read_parts", read_and_be_late)
        await worker.delivery.end_run(claim)
    assert looks == 2
    assert [record.text for record in await records(ledgers, campaign)] == ["before", "AFTER_"]
    await checked(ledgers, campaign)


async def test_many_packers_of_one_chunk_lose_nothing(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, drafts(range(1, 31)))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        for recipient in claim.recipients:
            worker.delivery.record(claim, recipient, SENT)
            if recipient.index % 5 == 0:
                await asyncio.gather(
                    *(closing.pack_chunk(ledgers.redis, ledgers.keys, campaign.id, 0) for _ in range(3)),
                    worker.written(claim),
                )
        await worker.delivery.end_run(claim)
    found = await records(ledgers, campaign)
    assert [(record.row, record.code) for record in found] == [(row, 250) for row in range(1, 31)]
    await checked(ledgers, campaign)
