"""The recount of the index: everybody who is missing from it is told, in whatever way the campaign knows people."""

import pytest

from mailer.backends.redis.index import hash_of, shards_of
from mailer.backends.redis.index_recount import IndexRecount
from mailer.backends.redis.ledgers import Ledgers
from tests.ledger.campaigns import drafts, proposal, running

PEOPLE = [(f"r{row}@x{row % 3}.test", row) for row in range(1, 11)]


@pytest.mark.parametrize("is_read", [True, False])
async def test_whoever_is_missing_from_the_index_is_counted(ledgers: Ledgers, is_read: bool) -> None:
    campaign = await running(ledgers, drafts(range(1, 6)), drafts(range(6, 11)))
    base = ledgers.keys.base(campaign.id)
    gone = hash_of(PEOPLE[7][0])
    moved = hash_of(PEOPLE[2][0])
    script = "redis.call('HDEL', KEYS[1], ARGV[1]) return redis.call('HSET', KEYS[2], ARGV[2], 1)"
    await ledgers.redis.eval(script, 2, shards_of(base, gone)[0], shards_of(base, moved)[0], gone, moved)
    index = IndexRecount(ledgers.redis, base)
    if is_read:
        await index.read(2, 10)
    assert [await index.unindexed(0, PEOPLE[:5]), await index.unindexed(1, PEOPLE[5:])] == [1, 1]


async def test_what_is_sound_is_not_looked_up_one_by_one(ledgers: Ledgers, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = await running(ledgers, drafts(range(1, 6)))
    index = IndexRecount(ledgers.redis, ledgers.keys.base(campaign.id))
    await index.read(1, 5)
    monkeypatch.setattr("mailer.backends.redis.index_recount.chunks_with", None)
    assert await index.unindexed(0, PEOPLE[:5]) == 0


async def test_chunks_that_came_meanwhile_do_not_matter(ledgers: Ledgers) -> None:
    campaign = await ledgers.intake.open(proposal())
    assert not await ledgers.intake.accept(campaign, drafts(range(1, 6)))
    assert not await ledgers.intake.accept(campaign, drafts(range(6, 11)))
    index = IndexRecount(ledgers.redis, ledgers.keys.base(campaign.id))
    await index.read(1, 5)
    assert await index.unindexed(0, PEOPLE[:5]) == 0
