"""Copies and kept duplicates: one address may be several recipients, and each is found, counted and told."""

import pytest

from mailer.backends.redis.index import hash_of
from mailer.backends.redis.ledgers import Ledgers
from mailer.backends.redis.verification import verify
from mailer.policy.message_id import message_id
from mailer.policy.selection import select
from mailer.vocabulary.acts import Resolution
from mailer.vocabulary.campaign import Campaign
from mailer.vocabulary.chunk import Draft
from mailer.vocabulary.errors import UsageError
from tests.ledger.campaigns import IN_DOUBT, REFUSED, SENT, checked, drafts, message, proposal, records, running
from tests.ledger.hands import hand

BOSS = "boss@x.test"


def row_of(row: int, *copies: str, by_row: bool = False, to: str | None = None) -> list[Draft]:
    """The recipients of one row: the first by address (or by row), the copies by row."""
    first = Draft(row=row, email=to or f"r{row}@x.test", content=message(row), by_row=by_row)
    return [first, *(Draft(row=row, email=copy, content=message(row), by_row=True) for copy in copies)]


async def copied(ledgers: Ledgers) -> Campaign:
    """Three rows in two chunks, each with a copy to the boss."""
    return await running(ledgers, row_of(1, BOSS) + row_of(2, BOSS), row_of(3, BOSS))


async def ended(ledgers: Ledgers, campaign: Campaign, ends: dict[tuple[int, str], object]) -> None:
    async with hand(ledgers) as worker:
        for chunk in (0, 1):
            claim = await worker.claim(campaign, chunk)
            for one in claim.recipients:
                outcome = ends.get((one.row, one.email), SENT)
                worker.delivery.record(claim, one, outcome)  # type: ignore[arg-type]  # a table of outcomes
            await worker.delivery.end_run(claim)


async def test_a_copy_is_a_recipient_in_every_row_and_none_is_stored_twice(ledgers: Ledgers) -> None:
    campaign = await copied(ledgers)
    assert (await checked(ledgers, campaign)).totals.accepted == 6
    assert await ledgers.intake.accept(campaign, row_of(2, BOSS) + row_of(4, BOSS)) == {0, 1}
    assert await ledgers.intake.accept(campaign, row_of(4, BOSS)) == frozenset()
    assert await verify(ledgers.redis, ledgers.keys, campaign.id) == []


async def test_an_address_that_is_written_to_for_itself_is_another_recipient_than_its_copies(ledgers: Ledgers) -> None:
    campaign = await copied(ledgers)
    assert not await ledgers.intake.accept(campaign, row_of(9, to=BOSS))
    assert await ledgers.intake.accept(campaign, row_of(10, to=BOSS)) == {0}
    assert await verify(ledgers.redis, ledgers.keys, campaign.id) == []


async def test_rows_that_are_kept_are_recipients_of_their_own(ledgers: Ledgers) -> None:
    campaign = await ledgers.intake.open(proposal(keeps_duplicates=True))
    kept = [draft for row in (1, 2) for draft in row_of(row, to="ann@x.test", by_row=True)]
    assert not await ledgers.intake.accept(campaign, kept)
    assert await ledgers.intake.accept(campaign, kept) == {0, 1}
    assert [(one.row, one.email) for one in await records(ledgers, campaign)] == [(1, "ann@x.test"), (2, "ann@x.test")]


async def test_all_copies_of_a_row_tell_the_message_id_of_its_first_recipient(ledgers: Ledgers) -> None:
    campaign = await copied(ledgers)
    await ended(ledgers, campaign, {(1, "r1@x.test"): SENT, (1, BOSS): REFUSED})
    expected = [
        message_id(bytes.fromhex(campaign.salt), campaign.id, f"r{row}@x.test", "acme.test") for row in (1, 2, 3)
    ]
    found = [(one.row, one.message_id) for one in await records(ledgers, campaign)]
    assert found == [(row, expected[row - 1]) for row in (1, 1, 2, 2, 3, 3)]


async def test_the_message_id_holds_while_a_row_is_half_packed(ledgers: Ledgers) -> None:
    """The first recipient is final and packed, the copy is still open: they stand in different keys of the chunk."""
    campaign = await running(ledgers, row_of(1, BOSS))
    before = {one.message_id for one in await records(ledgers, campaign)}
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        worker.delivery.record(claim, claim.recipients[0], SENT)
        await worker.written(claim)
        await ledgers.control.pause(campaign.id, "look")
        for recipient in claim.recipients[1:]:
            worker.delivery.record(claim, recipient, REFUSED)
        await worker.delivery.end_run(claim)
    await ledgers.control.retry(campaign.id, select("refused", None, None, None))
    found = await records(ledgers, campaign)
    assert [one.state.value for one in found] == ["sent", "queued"]
    assert {one.message_id for one in found} == before
    assert len(before) == 1


async def test_where_duplicates_are_kept_the_row_is_in_the_message_id(ledgers: Ledgers) -> None:
    rows = [*row_of(1, to="ann@x.test", by_row=True), *row_of(2, BOSS, to="ann@x.test", by_row=True)]
    campaign = await running(ledgers, rows, keeps_duplicates=True)
    salt = bytes.fromhex(campaign.salt)
    first, second = (message_id(salt, campaign.id, f"ann@x.test {row}", "acme.test") for row in (1, 2))
    assert [one.message_id for one in await records(ledgers, campaign)] == [first, second, second]


async def test_resolving_an_address_reaches_all_its_recipients_in_doubt(ledgers: Ledgers) -> None:
    campaign = await copied(ledgers)
    await ended(ledgers, campaign, {(1, BOSS): IN_DOUBT, (2, BOSS): REFUSED, (3, BOSS): IN_DOUBT})
    assert await ledgers.control.resolve(campaign.id, [BOSS], Resolution.SENT) == 2
    found = {(one.row, one.state.value) for one in await records(ledgers, campaign) if one.email == BOSS}
    assert found == {(1, "sent"), (2, "refused"), (3, "sent")}
    assert await ledgers.control.resolve(campaign.id, [BOSS], Resolution.SENT) == 0
    assert await verify(ledgers.redis, ledgers.keys, campaign.id) == []


async def test_an_address_of_which_nobody_is_in_doubt_is_not_resolved(ledgers: Ledgers) -> None:
    campaign = await copied(ledgers)
    await ended(ledgers, campaign, {(1, BOSS): REFUSED, (2, BOSS): REFUSED, (3, BOSS): REFUSED})
    with pytest.raises(UsageError, match="refused, not in doubt") as caught:
        await ledgers.control.resolve(campaign.id, [BOSS], Resolution.SENT)
    assert caught.value.code == "E114"
    with pytest.raises(UsageError) as caught:
        await ledgers.control.resolve(campaign.id, ["nobody@x.test", BOSS], Resolution.SENT)
    assert caught.value.code == "E119"


async def test_members_are_found_by_address_with_and_without_copies(ledgers: Ledgers) -> None:
    """And who joins after the first look is found at the next one."""
    plain = await running(ledgers, drafts(range(1, 6)))
    assert await ledgers.intake.members(plain.id, ["r2@x2.test", BOSS]) == {"r2@x2.test"}
    campaign = await ledgers.intake.open(proposal())
    assert await ledgers.intake.members(campaign.id, [BOSS]) == frozenset()
    await ledgers.intake.accept(campaign, row_of(1, BOSS))
    assert await ledgers.intake.members(campaign.id, [BOSS, "r1@x.test", "r2@x.test"]) == {BOSS, "r1@x.test"}
    await ledgers.intake.accept(campaign, row_of(2))
    assert await ledgers.intake.members(campaign.id, ["r2@x.test", "r3@x.test"]) == {"r2@x.test"}


async def test_members_of_no_campaign_are_an_error(ledgers: Ledgers) -> None:
    with pytest.raises(UsageError) as caught:
        await ledgers.intake.members("nothing", ["a@x.test"])
    assert caught.value.code == "E109"
    campaign = await ledgers.intake.open(proposal())
    await ledgers.intake.accept(campaign, row_of(1, BOSS))
    await ledgers.intake.drop(campaign)
    with pytest.raises(UsageError):
        await ledgers.intake.members(campaign.id, [BOSS])


async def test_a_copy_that_the_index_lost_is_told(ledgers: Ledgers) -> None:
    campaign = await copied(ledgers)
    number = int.from_bytes(hash_of(BOSS, 3)[:4], "big")
    script = "return redis.call('HDEL', ARGV[1], ARGV[2])"
    shard = f"{ledgers.keys.base(campaign.id)}x:0:{number % 100}"
    assert await ledgers.redis.eval(script, 0, shard, hash_of(BOSS, 3)) == 1
    found = await verify(ledgers.redis, ledgers.keys, campaign.id)
    assert "chunk 1: 1 recipients are not in the index of addresses" in found
