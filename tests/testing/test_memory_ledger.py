"""The contract of the ledger: the one in memory keeps it as the one in Redis does."""

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from mailer.backends.memory.books import Books
from mailer.backends.memory.control import MemoryControl
from mailer.backends.memory.delivery import MemoryDelivery
from mailer.backends.memory.intake import MemoryIntake
from mailer.backends.memory.reading import MemoryReading
from mailer.backends.redis.ledgers import open_ledgers
from mailer.interfaces.ledger import CampaignGoneError, ControlLedger, DeliveryLedger, IntakeLedger, ReportLedger
from mailer.policy.dot_stuffing import unstuff
from mailer.policy.selection import select
from mailer.vocabulary.acts import Resolution
from mailer.vocabulary.campaign import Campaign, CampaignState, CampaignStatus, PausedBy
from mailer.vocabulary.chunk import Claim, Draft
from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.outcome import Outcome
from mailer.vocabulary.recipient import LeftOut, LeftOutAs
from mailer.vocabulary.settings import DeliverySettings
from tests.ledger.campaigns import FAILED, IN_DOUBT, REFUSED, RELEASED, SENT, deferred, drafts, proposal
from tests.ledger.hands import hand


@dataclass
class Sides:
    """All sides of one ledger."""

    intake: IntakeLedger
    delivery: DeliveryLedger
    reading: ReportLedger
    control: ControlLedger

    async def running(self, *chunks: Sequence[Draft], complete: bool = True, **changes: object) -> Campaign:
        campaign = await self.intake.open(proposal(**changes))
        for chunk in chunks:
            assert not await self.intake.accept(campaign, chunk)
        assert await self.intake.seal(campaign, "run", invalid=0, duplicate=0, complete=complete)
        return campaign

    async def work(self, campaign: Campaign, *outcomes: Outcome, chunk: int = 0) -> Claim:
        """Bring everybody of a chunk to an end, one outcome after the other; the last one is for the rest."""
        claim = await self.delivery.claim(campaign, chunk)
        for number, recipient in enumerate(claim.recipients):
            assert await self.delivery.mark(claim, recipient)
            self.delivery.record(claim, recipient, outcomes[min(number, len(outcomes) - 1)])
        await self.delivery.end_run(claim)
        return claim

    async def states(self, campaign: Campaign) -> list[str]:
        return [record.state.value async for record in self.reading.records(campaign)]

    async def status(self, campaign: Campaign) -> CampaignStatus:
        status = await self.reading.status(campaign.id)
        assert status.totals.add_up
        return status


@asynccontextmanager
async def in_redis(url: str) -> AsyncIterator[Sides]:
    opened = open_ledgers(url, prefix=f"test-{secrets.token_hex(5)}", lease_s=10)
    async with opened as ledgers, hand(ledgers) as worker:
        yield Sides(ledgers.intake, worker.delivery, ledgers.reading, ledgers.control)


@pytest.fixture(params=["memory", "redis"])
async def ledger(request: pytest.FixtureRequest) -> AsyncIterator[Sides]:
    if request.param == "memory":
        books = Books()
        yield Sides(MemoryIntake(books), MemoryDelivery(books), MemoryReading(books), MemoryControl(books))
    else:
        async with in_redis(request.getfixturevalue("valkey_url")) as sides:
            yield sides


async def test_a_key_is_one_campaign_and_belongs_to_its_content(ledger: Sides) -> None:
    first = await ledger.intake.open(proposal(key="k"))
    assert await ledger.intake.open(proposal(key="k")) == first
    with pytest.raises(UsageError) as caught:
        await ledger.intake.open(proposal(key="k", fingerprint="other"))
    assert (caught.value.code, first.id in caught.value.message) == ("E205", True)
    assert (await ledger.intake.open(proposal(key="k", fingerprint="other"), append=True)).id == first.id


async def test_a_chunk_is_stored_whole_or_not_at_all(ledger: Sides) -> None:
    campaign = await ledger.intake.open(proposal())
    assert await ledger.intake.accept(campaign, drafts([1, 2, 3])) == frozenset()
    assert await ledger.intake.accept(campaign, drafts([2, 3, 4])) == {0, 1}
    assert (await ledger.status(campaign)).totals.accepted == 3
    assert await ledger.intake.members(campaign.id, ["r1@x1.test", "r4@x1.test"]) == {"r1@x1.test"}


async def test_an_address_of_its_own_row_is_another_recipient(ledger: Sides) -> None:
    campaign = await ledger.intake.open(proposal(keeps_duplicates=True))
    rows = [Draft(row=row, email="ann@x.test", content=b"Subject: a\r\n\r\n", by_row=True) for row in (1, 2)]
    assert await ledger.intake.accept(campaign, rows) == frozenset()
    assert await ledger.intake.accept(campaign, rows[1:]) == {0}


async def test_a_draft_runs_when_it_is_sealed_and_finishes_when_nobody_is_open(ledger: Sides) -> None:
    campaign = await ledger.intake.open(proposal())
    await ledger.intake.accept(campaign, drafts([1, 2]))
    left_out = [LeftOut(row=3, email="x", kind=LeftOutAs.INVALID, reason="no @")]
    await ledger.intake.leave_out(campaign, "run", left_out)
    assert not (await ledger.delivery.claim(campaign, 0)).recipients
    assert await ledger.intake.seal(campaign, "run", invalid=1, duplicate=0, complete=True)
    assert not await ledger.intake.seal(campaign, "other", invalid=9, duplicate=9, complete=True)
    assert [row async for row in ledger.reading.left_out(campaign)] == left_out
    await ledger.work(campaign, SENT)
    status = await ledger.status(campaign)
    assert (status.state, status.totals.rows, status.totals.sent) == (CampaignState.FINISHED, 3, 2)
    assert status.finished_ms is not None
    with pytest.raises(CampaignGoneError):
        await ledger.intake.accept(campaign, drafts([9]))


async def test_a_source_that_goes_on_keeps_the_campaign_running(ledger: Sides) -> None:
    campaign = await ledger.running(drafts([1]), complete=False)
    await ledger.work(campaign, SENT)
    assert (await ledger.status(campaign)).state is CampaignState.RUNNING
    await ledger.intake.accept(campaign, drafts([2]))
    await ledger.work(campaign, SENT, chunk=1)
    await ledger.intake.complete(campaign, "run", invalid=0, duplicate=2)
    status = await ledger.status(campaign)
    assert (status.state, status.totals.duplicate, status.totals.sent) == (CampaignState.FINISHED, 2, 2)


async def test_another_list_is_added_once(ledger: Sides) -> None:
    campaign = await ledger.running(drafts([1]))
    await ledger.work(campaign, SENT)
    for _ in range(2):
        await ledger.intake.reopen(campaign, appending="list two")
        await ledger.intake.accept(campaign, drafts([2]))
        await ledger.intake.complete(campaign, "second", invalid=1, duplicate=0, appended="list two")
    status = await ledger.status(campaign)
    assert (status.state, status.appended, status.totals.invalid) == (CampaignState.RUNNING, frozenset({"list two"}), 1)
    assert status.totals.accepted == 2


async def test_a_campaign_waits_for_its_time(ledger: Sides) -> None:
    campaign = await ledger.intake.open(proposal())
    await ledger.intake.accept(campaign, drafts([1]))
    at_ms = 4_000_000_000_000
    assert await ledger.intake.seal(campaign, "run", invalid=0, duplicate=0, complete=True, at_ms=at_ms)
    status = await ledger.status(campaign)
    assert (status.state, status.at_ms) == (CampaignState.SCHEDULED, at_ms)
    assert not (await ledger.delivery.claim(campaign, 0)).recipients
    assert await ledger.control.cancel(campaign.id, "") == 1


async def test_who_is_claimed_is_claimed_once_and_marked_before_the_body(ledger: Sides) -> None:
    campaign = await ledger.running(drafts([1, 2]))
    claim = await ledger.delivery.claim(campaign, 0)
    assert [unstuff(ledger.delivery.mail_data(claim, each)) for each in claim.recipients] == [
        draft.content for draft in drafts([1, 2])
    ]
    other = await ledger.delivery.claim(campaign, 0)
    assert other.recipients == ()
    first, second = claim.recipients
    assert await ledger.delivery.mark(claim, first)
    assert await ledger.delivery.mark(claim, first)
    assert not await ledger.delivery.mark(other, second)
    await ledger.delivery.pause(campaign.id, "a wave", PausedBy.REFUSALS)
    assert not await ledger.delivery.mark(claim, second)
    ledger.delivery.record(claim, first, SENT)
    ledger.delivery.record(claim, second, RELEASED)
    await ledger.delivery.end_run(claim)
    assert await ledger.states(campaign) == ["sent", "queued"]


async def test_every_end_is_in_the_record(ledger: Sides) -> None:
    campaign = await ledger.running(drafts(range(1, 6)))
    await ledger.work(campaign, SENT, REFUSED, FAILED, IN_DOUBT, deferred(4_000_000_000_000))
    found = [record async for record in ledger.reading.records(campaign)]
    assert [record.state for record in found] == ["sent", "refused", "failed", "in_doubt", "deferred"]
    assert [record.attempts for record in found] == [1, 1, 1, 1, 1]
    assert (found[1].code, found[1].words, found[1].phase) == (550, "5.1.1 unknown user", "rcpt")
    assert found[0].server_queue_id == "4XyZ1234"
    assert len({record.message_id for record in found}) == 5
    status = await ledger.status(campaign)
    assert (status.next_due_ms, status.is_resting) == (4_000_000_000_000, True)


async def test_who_is_deferred_comes_back_with_his_history(ledger: Sides) -> None:
    campaign = await ledger.running(drafts([1]))
    await ledger.work(campaign, deferred(1))
    (again,) = (await ledger.delivery.claim(campaign, 0)).recipients
    assert (again.attempts, again.was_deferred) == (1, True)
    assert again.last is not None
    assert again.last.reply is not None
    assert again.last.reply.code == 451


async def test_an_operator_pauses_resumes_and_cancels(ledger: Sides) -> None:
    campaign = await ledger.running(drafts([1, 2, 3]))
    assert await ledger.control.pause(campaign.id, "one")
    assert not await ledger.control.pause(campaign.id, "two")
    status = await ledger.status(campaign)
    assert (status.state, status.paused_reason, status.paused_by) == (CampaignState.PAUSED, "two", PausedBy.OPERATOR)
    assert await ledger.control.resume(campaign.id)
    assert not await ledger.control.resume(campaign.id)
    claim = await ledger.delivery.claim(campaign, 0)
    assert await ledger.delivery.mark(claim, claim.recipients[0])
    assert await ledger.control.cancel(campaign.id, "wrong") == 0
    ledger.delivery.record(claim, claim.recipients[0], SENT)
    for recipient in claim.recipients[1:]:
        ledger.delivery.record(claim, recipient, RELEASED)
    await ledger.delivery.end_run(claim)
    status = await ledger.status(campaign)
    assert (status.state, status.totals.sent, status.totals.cancelled) == (CampaignState.CANCELLED, 1, 2)
    assert (status.cancelled_reason, status.finished_ms is not None) == ("wrong", True)
    with pytest.raises(UsageError, match="nobody can be queued again"):
        await ledger.control.retry(campaign.id, select(None, None, None, None))


async def test_a_retry_takes_whom_it_names_and_keeps_the_message(ledger: Sides) -> None:
    unbuilt = Draft(row=9, email="r9@x.test", content=b"", outcome=FAILED)
    campaign = await ledger.running([*drafts([1, 2, 3]), unbuilt])
    await ledger.work(campaign, SENT, REFUSED, REFUSED)
    selection = select("failed,refused", None, None, 1)
    assert (await ledger.control.count(campaign.id, selection)).recipients == 1
    assert (await ledger.control.retry(campaign.id, selection)).recipients == 1
    assert await ledger.states(campaign) == ["sent", "queued", "refused", "failed"]
    assert (await ledger.control.count(campaign.id, select("failed", None, None, None))).without_message == 1
    claim = await ledger.delivery.claim(campaign, 0)
    (again,) = claim.recipients
    assert (again.row, again.attempts) == (2, 1)
    assert unstuff(ledger.delivery.mail_data(claim, again)) == drafts([2])[0].content


async def test_doubt_is_settled_by_the_operator_alone(ledger: Sides) -> None:
    campaign = await ledger.running(drafts([1, 2, 3]))
    await ledger.work(campaign, SENT, IN_DOUBT, IN_DOUBT)
    with pytest.raises(UsageError, match="not in doubt"):
        await ledger.control.resolve(campaign.id, ["r1@x1.test", "r2@x2.test"], Resolution.FAILED)
    with pytest.raises(UsageError, match="no recipient"):
        await ledger.control.resolve(campaign.id, ["nobody@x.test"], Resolution.SENT)
    assert await ledger.control.resolve(campaign.id, ["r2@x2.test"], Resolution.SENT) == 1
    assert await ledger.control.resolve(campaign.id, ["r3@x0.test"], Resolution.RESEND) == 1
    assert await ledger.states(campaign) == ["sent", "sent", "queued"]


async def test_a_draft_can_be_dropped_and_nothing_else(ledger: Sides) -> None:
    campaign = await ledger.intake.open(proposal())
    await ledger.intake.drop(campaign)
    with pytest.raises(UsageError, match="no campaign"):
        await ledger.reading.status(campaign.id)
    sealed = await ledger.running(drafts([1]))
    await ledger.intake.drop(sealed)
    assert (await ledger.status(sealed)).totals.queued == 1


async def test_a_campaign_that_never_was_is_an_error(ledger: Sides) -> None:
    with pytest.raises(UsageError) as caught:
        await ledger.reading.status(f"nothing-{secrets.token_hex(2)}")
    assert caught.value.code == "E109"


async def test_what_is_in_doubt_is_sent_again_twice_where_the_campaign_wants_that(ledger: Sides) -> None:
    campaign = await ledger.running(drafts([1]), delivery=DeliverySettings(on_doubt="resend"))
    for before, after in (("queued", "queued"), ("queued", "queued"), ("queued", "in_doubt")):
        assert await ledger.states(campaign) == [before]
        await ledger.work(campaign, IN_DOUBT)
        assert await ledger.states(campaign) == [after]
    assert (await ledger.status(campaign)).state is CampaignState.FINISHED
