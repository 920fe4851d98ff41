"""Attached files: stored once, there as long as a stored message mentions them, and gone with the last one."""

from collections.abc import Callable

import pytest
from redis.exceptions import ResponseError

from mailer.backends.redis.attachments import upload
from mailer.backends.redis.closing import pack_chunk
from mailer.backends.redis.entries import read_messages, write_messages
from mailer.backends.redis.ledgers import Ledgers
from mailer.backends.redis.verification import verify
from mailer.interfaces.ledger import CampaignGoneError
from mailer.policy.attachment_marks import mark
from mailer.policy.dot_stuffing import unstuff
from mailer.policy.selection import select
from mailer.vocabulary.acts import Resolution
from mailer.vocabulary.campaign import Campaign, CampaignState
from mailer.vocabulary.chunk import Attached, Draft
from mailer.vocabulary.errors import TemplateError
from mailer.vocabulary.outcome import Outcome
from tests.ledger.campaigns import (
    FAILED,
    IN_DOUBT,
    REFUSED,
    SENT,
    all_keys,
    deferred,
    drafts,
    keys_of,
    proposal,
    running,
    work_off,
)
from tests.ledger.files import File, carrying, files_of
from tests.ledger.hands import hand, reconciler
from tests.operator.recount import sound
from tests.thorough import first


async def finish(ledgers: Ledgers, campaign: Campaign, chunk: int, outcome: Outcome) -> None:
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign, chunk)
        for recipient in claim.recipients:
            worker.delivery.record(claim, recipient, outcome)
        await worker.delivery.end_run(claim)


async def test_a_file_is_stored_once_whatever_carries_it_and_a_worker_reads_it(ledgers: Ledgers) -> None:
    terms, bill = File(b"terms" * 500), File(b"bill" * 100)
    campaign = await running(ledgers, carrying([1, 2], terms, bill), carrying([3], terms), drafts([4]))
    assert (terms.reads, bill.reads) == (1, 1)
    assert await files_of(ledgers, campaign) == {terms.digest, bill.digest}
    async with hand(ledgers) as worker:
        assert await worker.delivery.attachment(campaign, terms.digest) == terms.content
        with pytest.raises(LookupError):
            await worker.delivery.attachment(campaign, "0" * 64)
    await sound(ledgers, campaign)


async def test_what_stands_under_the_name_of_a_file_and_is_not_it_is_not_sent(ledgers: Ledgers) -> None:
    terms = File(b"terms")
    campaign = await running(ledgers, carrying([1], terms))
    await ledgers.redis.set(f"{ledgers.keys.base(campaign.id)}b:{terms.digest}", b"planted")
    async with hand(ledgers) as worker:
        with pytest.raises(LookupError, match="damaged"):
            await worker.delivery.attachment(campaign, terms.digest)


async def test_the_size_of_a_file_counts_once_for_as_long_as_it_waits(ledgers: Ledgers) -> None:
    terms = File(b"t" * 10_000)
    campaign = await running(ledgers, carrying([1, 2], terms), carrying([3], terms))
    assert 10_000 < await ledgers.intake.queued_bytes(campaign) < 11_000
    await finish(ledgers, campaign, 0, SENT)
    assert 10_000 < await ledgers.intake.queued_bytes(campaign) < 11_000
    await sound(ledgers, campaign)
    await finish(ledgers, campaign, 1, SENT)
    assert await ledgers.intake.queued_bytes(campaign) == 0
    await sound(ledgers, campaign)


async def test_a_file_is_gone_when_the_last_message_that_mentions_it_is(ledgers: Ledgers) -> None:
    terms, bill = File(b"terms"), File(b"bill")
    campaign = await running(ledgers, carrying([1, 2], terms), carrying([3], terms, bill))
    await finish(ledgers, campaign, 1, SENT)
    assert await files_of(ledgers, campaign) == {terms.digest}
    await finish(ledgers, campaign, 0, SENT)
    assert await files_of(ledgers, campaign) == set()
    leftover = {key.rsplit("}:")[-1] for key in await keys_of(ledgers, campaign)}
    assert not leftover & {"r", "w", "u", "g:0", "g:1"}
    assert (await sound(ledgers, campaign)).state is CampaignState.FINISHED


async def test_within_a_chunk_the_file_of_one_goes_and_that_of_another_stays(ledgers: Ledgers) -> None:
    ann, bob = File(b"for ann"), File(b"for bob")
    campaign = await running(ledgers, carrying([1], ann) + carrying([2], bob))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        worker.delivery.record(claim, claim.recipients[0], SENT)
        worker.delivery.record(claim, claim.recipients[1], deferred(claim.redis_ms + 60_000))
        await worker.delivery.end_run(claim)
    assert await files_of(ledgers, campaign) == {bob.digest}
    await sound(ledgers, campaign)


@pytest.mark.parametrize("outcome", [REFUSED, FAILED, IN_DOUBT])
async def test_who_may_be_sent_to_again_keeps_the_file_and_gets_it(ledgers: Ledgers, outcome: Outcome) -> None:
    """A kept file does not count as waiting: nobody drains it, and a producer would wait for ever."""
    terms = File(b"terms")
    campaign = await running(ledgers, carrying([1, 2], terms))
    await work_off(ledgers, campaign, outcome)
    await reconciler(ledgers).revive()
    assert await files_of(ledgers, campaign) == {terms.digest}
    assert await ledgers.intake.queued_bytes(campaign) == 0
    await sound(ledgers, campaign)
    await ledgers.control.retry(campaign.id, select("failed,refused,in_doubt", None, None, 1))
    assert await ledgers.intake.queued_bytes(campaign) > len(terms.content)
    await sound(ledgers, campaign)
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        (one,) = claim.recipients
        assert mark(terms.digest) in unstuff(worker.delivery.mail_data(claim, one))
        assert await worker.delivery.attachment(campaign, terms.digest) == terms.content
        await worker.finish(claim, SENT)
    assert await files_of(ledgers, campaign) == {terms.digest}
    await ledgers.control.retry(campaign.id, select("failed,refused,in_doubt", None, None, None))
    await work_off(ledgers, campaign)
    assert await files_of(ledgers, campaign) == set()
    await sound(ledgers, campaign)


async def test_a_doubt_that_is_settled_as_sent_lets_the_file_go(ledgers: Ledgers) -> None:
    terms = File(b"terms")
    campaign = await running(ledgers, carrying([1, 2], terms))
    await work_off(ledgers, campaign, IN_DOUBT)
    await ledgers.control.resolve(campaign.id, ["r1@x.test"], Resolution.SENT)
    assert await files_of(ledgers, campaign) == {terms.digest}
    await ledgers.control.resolve(campaign.id, ["r2@x.test"], Resolution.SENT)
    assert await files_of(ledgers, campaign) == set()
    await sound(ledgers, campaign)


async def test_cancelling_lets_the_files_go(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, carrying([1, 2], File(b"terms")), carrying([3], File(b"bill")))
    await ledgers.control.cancel(campaign.id, "wrong price")
    assert await files_of(ledgers, campaign) == set()
    await sound(ledgers, campaign)


async def test_who_is_never_sent_to_brings_no_file(ledgers: Ledgers) -> None:
    terms = File(b"terms")
    suppressed = Outcome(state=FAILED.state, reason="build", counted=False)
    draft = Draft(row=1, email="a@x.test", content=b"", outcome=suppressed, attached=(terms.attached,))
    campaign = await running(ledgers, [draft])
    assert terms.reads == 0
    assert await files_of(ledgers, campaign) == set()


async def test_a_file_that_is_not_what_it_was_is_an_error_and_nothing_is_stored(ledgers: Ledgers) -> None:
    terms = File(b"terms")
    campaign = await ledgers.intake.open(proposal())
    messages = carrying([1], terms)
    terms.content = b"other"
    with pytest.raises(TemplateError, match=r"invoice.pdf changed while it was read") as caught:
        await ledgers.intake.accept(campaign, messages)
    assert caught.value.code == "E310"
    assert (await sound(ledgers, campaign)).totals.accepted == 0
    assert await files_of(ledgers, campaign) == set()


async def test_a_file_that_is_not_there_any_more_is_the_same_error(ledgers: Ledgers) -> None:
    def gone() -> bytes:
        raise FileNotFoundError("invoice.pdf")

    campaign = await ledgers.intake.open(proposal())
    attached = Attached(digest="0" * 64, size=3, name="invoice.pdf", read=gone)
    with pytest.raises(TemplateError) as caught:
        await ledgers.intake.accept(campaign, [Draft(row=1, email="a@x.test", content=b"x", attached=(attached,))])
    assert (caught.value.code, caught.value.cause) == ("E310", "invoice.pdf")


async def test_a_file_that_is_released_while_it_is_wanted_again_is_brought_again(
    ledgers: Ledgers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last message that had it is sent between the upload of another file and the storing of the chunk."""
    terms, bill = File(b"terms"), File(b"bill")
    campaign = await ledgers.intake.open(proposal())
    await ledgers.intake.accept(campaign, carrying([1], terms))
    await ledgers.intake.seal(campaign, "run", invalid=0, duplicate=0, complete=False)
    sent = False

    def read_late() -> bytes:
        nonlocal sent
        sent = True
        return bill.content

    async def upload_late(*arguments: object) -> None:
        if not sent:
            await finish(ledgers, campaign, 0, SENT)
            assert await files_of(ledgers, campaign) == set()
        await upload(*arguments)  # type: ignore[arg-type]  # handed on as they came

    monkeypatch.setattr("mailer.backends.redis.intake.upload", upload_late)
    late = Attached(digest=bill.digest, size=4, name="bill", read=read_late)
    content = b"x" + mark(terms.digest) + mark(bill.digest)
    draft = Draft(row=2, email="b@x.test", content=content, attached=(terms.attached, late))
    assert not await ledgers.intake.accept(campaign, [draft])
    assert terms.reads == 2
    assert await files_of(ledgers, campaign) == {terms.digest, bill.digest}
    await sound(ledgers, campaign)


async def test_who_is_there_already_brings_no_file(ledgers: Ledgers) -> None:
    terms = File(b"terms")
    campaign = await running(ledgers, carrying([1], terms))
    await work_off(ledgers, campaign)
    assert await ledgers.intake.accept(campaign, carrying([1], terms)) == {0}
    assert terms.reads == 1
    assert await files_of(ledgers, campaign) == set()


async def test_dropping_a_draft_removes_its_files_and_those_on_their_way(ledgers: Ledgers) -> None:
    before = await all_keys(ledgers)
    campaign = await ledgers.intake.open(proposal())
    await ledgers.intake.accept(campaign, carrying([1], File(b"terms"), File(b"bill")))
    await upload(ledgers.redis, ledgers.keys, campaign.id, File(b"of a dead producer").attached)
    await ledgers.intake.drop(campaign)
    assert await all_keys(ledgers) == before
    with pytest.raises(CampaignGoneError):
        await ledgers.intake.accept(campaign, carrying([2], File(b"more")))
    assert await files_of(ledgers, campaign) == set()


async def test_what_a_dead_producer_had_brought_goes_when_the_campaign_retires(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, carrying([1], File(b"terms")))
    orphan = File(b"of a dead producer")
    await upload(ledgers.redis, ledgers.keys, campaign.id, orphan.attached)
    await work_off(ledgers, campaign)
    assert await files_of(ledgers, campaign) == {orphan.digest}
    await reconciler(ledgers).revive()
    assert await files_of(ledgers, campaign) == set()
    await sound(ledgers, campaign)
    with pytest.raises(ResponseError, match="FINISHED"):
        await upload(ledgers.redis, ledgers.keys, campaign.id, orphan.attached)
    assert await files_of(ledgers, campaign) == set()


async def test_packing_again_changes_nothing(ledgers: Ledgers) -> None:
    campaign = await running(ledgers, carrying([1, 2], File(b"terms")))
    await finish(ledgers, campaign, 0, REFUSED)
    for _ in range(2):
        await pack_chunk(ledgers.redis, ledgers.keys, campaign.id, 0)
    await sound(ledgers, campaign)


@pytest.mark.parametrize(
    ("damage", "words"),
    first(
        2,
        [
            (lambda base, digest: f"'DEL', '{base}b:{digest}'", "files: 1 that messages mention are not there"),
            (lambda base, digest: f"'HINCRBY', '{base}r', '{digest}', 1", "files: r counts"),
            (lambda base, digest: f"'HINCRBY', '{base}w', '{digest}', 1", "files: w counts"),
            (lambda base, digest: f"'HDEL', '{base}g:0', '{digest}'", "chunk 0: its messages mention 1 files, g has 0"),
            (lambda base, digest: f"'SET', '{base}b:{digest}', 'x'", "bytes: the counter says"),
        ],
    ),
)
async def test_damage_to_files_is_told(ledgers: Ledgers, damage: Callable[[str, str], str], words: str) -> None:
    terms = File(b"terms")
    campaign = await running(ledgers, carrying([1], terms))
    command = damage(ledgers.keys.base(campaign.id), terms.digest)
    await ledgers.redis.eval(f"return redis.call({command})", 0)
    found = await verify(ledgers.redis, ledgers.keys, campaign.id)
    assert any(words in violation for violation in found), found


async def test_a_damaged_message_with_a_file_keeps_no_chunk_open(ledgers: Ledgers) -> None:
    terms = File(b"terms")
    campaign = await running(ledgers, carrying([1, 2], terms))
    key = ledgers.keys.base(campaign.id) + "m:0"
    frames = read_messages(await ledgers.redis.get(key) or b"")
    await ledgers.redis.set(key, write_messages(frames | {0: b"garbage"}))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        for recipient, outcome in zip(claim.recipients, (FAILED, SENT), strict=True):
            worker.delivery.record(claim, recipient, outcome)
        await worker.delivery.end_run(claim)
    assert (await ledgers.reading.status(campaign.id)).state is CampaignState.FINISHED
    assert await ledgers.redis.hkeys(ledgers.keys.base(campaign.id) + "s:0") == []
    assert await files_of(ledgers, campaign) == set()
