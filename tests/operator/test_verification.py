"""The recount: silent about what is sound at every moment, and in words about whatever was damaged."""

import asyncio

import pytest

from mailer.backends.redis.ledgers import Ledgers
from mailer.backends.redis.verification import verify
from mailer.vocabulary.campaign import Campaign
from mailer.vocabulary.chunk import Claim
from tests.ledger.campaigns import REFUSED, SENT, deferred, drafts, proposal, running
from tests.ledger.hands import hand
from tests.thorough import first


async def worked(ledgers: Ledgers) -> tuple[Campaign, Claim]:
    """A campaign with a packed chunk, one half packed, and one that a dead worker holds."""
    campaign = await running(ledgers, drafts([1, 2]), drafts([3, 4]), drafts([5, 6]))
    async with hand(ledgers) as worker:
        await worker.finish(await worker.claim(campaign, 0), REFUSED)
        claim = await worker.claim(campaign, 1)
        worker.delivery.record(claim, claim.recipients[0], SENT)
        worker.delivery.record(claim, claim.recipients[1], deferred(claim.redis_ms + 60_000))
        await worker.delivery.end_run(claim)
        held = await worker.claim(campaign, 2)
    return campaign, held


async def test_a_sound_campaign_has_no_violation(ledgers: Ledgers) -> None:
    campaign, _ = await worked(ledgers)
    assert await verify(ledgers.redis, ledgers.keys, campaign.id) == []
    draft = await ledgers.intake.open(proposal())
    assert await verify(ledgers.redis, ledgers.keys, draft.id) == []


@pytest.mark.parametrize(
    ("damage", "words"),
    first(
        3,
        [
            ("redis.call('HINCRBY', b .. 'c', 'refused', 1)", "refused: the counter says 3, the chunks hold 2"),
            ("redis.call('HINCRBY', b .. 'c', 'bytes', 7)", "bytes: the counter"),
            ("redis.call('HINCRBY', b .. 'c', 'indexed', 1)", "index: 7 counted, 6 addresses in it"),
            ("redis.call('DEL', b .. 'f:0')", "accepted: the counters add up to 6, the chunks hold 4"),
            ("redis.call('SET', b .. 'f:0', 'rubbish')", "chunk 0: cannot be read"),
            ("redis.call('DEL', b .. 'k:0')", "chunk 0: 2 refused or doubtful recipients have lost their message"),
            ("redis.call('HDEL', b .. 's:1', '1')", "chunk 1: 1 addresses in a, 0 of them with a state"),
            ("redis.call('SET', b .. 'm:1', string.char(128))", "chunk 1: 1 recipients wait without a message"),
            ("redis.call('DEL', b .. 'a:1')", "chunk 1: 1 states in s, 0 of them with an address"),
            ("redis.call('ZREM', b .. 'open', '1')", "chunk 1: has recipients that are not packed"),
            ("redis.call('ZADD', b .. 'open', 0, '0')", "chunk 0: stands in open, and everybody in it is packed"),
            ("redis.call('ZADD', b .. 'due', 0, '9')", "due: 1 chunks that do not exist"),
            ("redis.call('DEL', b .. 'h')", "chunk 2: 1 claims that nobody would take over"),
            ("redis.call('HSET', b .. 'c', 'state', 'finished')", "state: finished, but 3 recipients are not final"),
            (
                "redis.call('DEL', ARGV[2])",
                "live: it has open chunks or a time to begin, and no reconciler looks after it",
            ),
        ],
    ),
)
async def test_every_damage_is_told_in_words(ledgers: Ledgers, damage: str, words: str) -> None:
    campaign, _ = await worked(ledgers)
    script = f"local b = ARGV[1] {damage} return 1"
    await ledgers.redis.eval(script, 0, ledgers.keys.base(campaign.id), ledgers.keys.live)
    found = await verify(ledgers.redis, ledgers.keys, campaign.id)
    assert any(words in violation for violation in found), found


async def test_an_address_that_the_index_lost_is_told(ledgers: Ledgers) -> None:
    campaign, _ = await worked(ledgers)
    base = ledgers.keys.base(campaign.id)
    await ledgers.redis.eval(
        "for _, k in ipairs(redis.call('KEYS', ARGV[1] .. 'x:*')) do redis.call('DEL', k) end return 1", 0, base
    )
    found = await verify(ledgers.redis, ledgers.keys, campaign.id)
    assert "chunk 2: 2 recipients are not in the index of addresses" in found


@pytest.mark.thorough
async def test_work_in_progress_is_no_violation(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, *(drafts(range(start, start + 10)) for start in range(1, 200, 10)))

    async def work() -> None:
        async with hand(ledgers) as worker:
            for chunk in range(20):
                await worker.finish(await worker.claim(campaign, chunk), SENT)

    working = asyncio.create_task(work())
    looks = 0
    while not working.done():
        assert await verify(ledgers.redis, ledgers.keys, campaign.id) == []
        looks += 1
    await working
    assert looks > 1
    assert await verify(ledgers.redis, ledgers.keys, campaign.id) == []
