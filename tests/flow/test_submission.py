"""Submission: a list goes into the ledger once and whole, or not at all, whoever is killed and however often."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from mailer.backends.redis.connection import connect
from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from mailer.flow.counts import Counts
from mailer.flow.problems import BadRowsError
from mailer.policy.dot_stuffing import unstuff
from mailer.vocabulary.campaign import CampaignState
from mailer.vocabulary.errors import SourceError, UsageError
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.recipient import LeftOutAs, State
from tests.flow.submitting import CHUNK, Once, Shop, personal
from tests.ledger.campaigns import SENT, all_keys, checked, records, states
from tests.ledger.hands import hand
from tests.servers import OwnServer, until


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


async def rows_of(ledgers: Ledgers) -> list[int]:
    """Everybody in the only campaign there is."""
    (campaign_id,) = await ledgers.campaigns.ids()
    status = await ledgers.reading.status(campaign_id)
    await checked(ledgers, status.campaign)
    return [record.row for record in await records(ledgers, status.campaign)]


async def runs(ledgers: Ledgers) -> bool:
    return await ledgers.campaigns.live() != []


async def test_a_list_is_accepted_and_runs(ledgers: Ledgers, shop: Shop) -> None:
    submitted = await shop.submission(ledgers, shop.people(25)).run()
    assert submitted is not None
    assert (submitted.status.state, submitted.status.source_complete) == (CampaignState.RUNNING, True)
    assert submitted.status.totals.queued == submitted.counts.new == submitted.counts.rows == 25
    assert await rows_of(ledgers) == list(range(1, 26))
    assert await ledgers.jobs.waiting() == 3
    async with hand(ledgers) as worker:
        claim = await worker.claim(submitted.status.campaign, 2)
        content = unstuff(worker.delivery.mail_data(claim, claim.recipients[0]))
    assert b"Subject: Hello Name 21\r\n" in content
    assert b"Dear Name 21 of City 21," in content


async def test_twice_is_once(ledgers: Ledgers, shop: Shop) -> None:
    first = await shop.submission(ledgers, shop.people(25)).run()
    before = await all_keys(ledgers)
    second = await shop.submission(ledgers, shop.people(25)).run()
    assert first is not None
    assert second is not None
    assert second.status.campaign == first.status.campaign
    assert (second.counts.new, second.counts.already) == (0, 25)
    assert await all_keys(ledgers) == before


async def test_other_content_under_the_same_key_is_an_error_and_changes_nothing(ledgers: Ledgers, shop: Shop) -> None:
    await shop.submission(ledgers, shop.people(5), key="k").run()
    before = await all_keys(ledgers)
    with pytest.raises(UsageError) as raised:
        await shop.submission(ledgers, shop.people(6), key="k").run()
    assert raised.value.code == "E205"
    assert await all_keys(ledgers) == before


async def test_two_at_once_make_one_set_of_recipients(ledgers: Ledgers, shop: Shop) -> None:
    recipients = shop.people(95)
    both = await asyncio.gather(*(shop.submission(ledgers, recipients).run() for _ in range(2)))
    assert await rows_of(ledgers) == list(range(1, 96))
    assert {submitted.status.campaign.id for submitted in both if submitted} == set(await ledgers.campaigns.ids())
    assert sum(submitted.counts.new for submitted in both if submitted) == 95


@pytest.mark.parametrize("killed_after", [1, 3, 7])
async def test_one_that_was_killed_half_way_goes_on_where_it_stopped(
    ledgers: Ledgers, shop: Shop, killed_after: int
) -> None:
    recipients = shop.people(75)

    def kill(counts: Counts) -> None:
        if counts.rows >= killed_after * CHUNK:
            # By the loop, as a signal does it: what a task does to itself redis-py takes for a time-out of its own.
            asyncio.get_running_loop().call_soon(running.cancel)

    running = asyncio.create_task(shop.submission(ledgers, recipients, progress=kill).run())
    with pytest.raises(asyncio.CancelledError):
        await running
    (campaign_id,) = await ledgers.campaigns.ids()
    status = await ledgers.reading.status(campaign_id)
    accepted = status.totals.accepted
    assert status.state is CampaignState.DRAFT
    assert killed_after * CHUNK <= accepted < 75
    submitted = await shop.submission(ledgers, recipients).run()
    assert submitted is not None
    assert (submitted.counts.already, submitted.counts.new) == (accepted, 75 - accepted)
    assert await rows_of(ledgers) == list(range(1, 76))
    assert (await ledgers.reading.status(campaign_id)).state is CampaignState.RUNNING


async def test_one_that_was_killed_at_any_moment_goes_on_where_it_stopped(ledgers: Ledgers, shop: Shop) -> None:
    recipients = shop.people(30)
    for turns in range(0, 200, 5):
        running = asyncio.create_task(shop.submission(ledgers, recipients).run())
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await shop.submission(ledgers, recipients).run()
    assert await rows_of(ledgers) == list(range(1, 31))


@pytest.mark.thorough
async def test_one_that_loses_the_queue_server_half_way_goes_on_where_it_stopped(
    own_server: OwnServer, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailer.backends.redis.ledgers.connect", partial(connect, patience=0))
    recipients = shop.people(50)

    def cut(counts: Counts) -> None:
        if counts.rows == 20:
            own_server.kill()
            own_server.start()

    async with open_ledgers(own_server.url, prefix="t", lease_s=10) as ledgers:
        with pytest.raises(RedisConnectionError):
            await shop.submission(ledgers, recipients, progress=cut).run()
        submitted = await shop.submission(ledgers, recipients).run()
        assert submitted is not None
        assert (submitted.counts.already, submitted.counts.new) == (20, 30)
        assert await rows_of(ledgers) == list(range(1, 51))


async def test_a_bad_row_and_nothing_is_accepted(ledgers: Ledgers, shop: Shop) -> None:
    before = await all_keys(ledgers)
    rows = [personal(row) for row in range(1, 41)]
    del rows[36]["name"]
    with pytest.raises(BadRowsError) as raised:
        await shop.submission(ledgers, shop.json_lines(rows)).run()
    assert "row 37" in str(raised.value.problems[0])
    assert await all_keys(ledgers) == before
    assert await ledgers.campaigns.ids() == []
    # Mended, it is accepted.
    rows[36]["name"] = "Ann"
    submitted = await shop.submission(ledgers, shop.json_lines(rows)).run()
    assert submitted is not None
    assert submitted.status.totals.queued == 40


async def test_every_cause_is_told_once_with_how_many_rows_have_it(ledgers: Ledgers, shop: Shop) -> None:
    rows = [personal(row) for row in range(1, 41)]
    for row in (3, 17, 33):
        del rows[row - 1]["city"]
    del rows[29]["name"]
    with pytest.raises(BadRowsError) as raised:
        await shop.submission(ledgers, shop.json_lines(rows)).run()
    error = raised.value
    assert (error.rows, len(error.problems)) == (4, 2)
    first, second = error.problems
    assert "row 3 " in first.message
    assert "city" in first.message
    assert "2 other rows" in (first.why or "")
    assert "row 30 " in second.message
    assert "other rows" not in (second.why or "")
    assert error.safe is not None
    assert "Nothing was accepted" in error.safe


async def test_bad_rows_that_are_skipped_are_booked_as_failed_and_the_others_run(ledgers: Ledgers, shop: Shop) -> None:
    rows = [personal(row) for row in range(1, 26)]
    del rows[4]["city"]
    submitted = await shop.submission(ledgers, shop.json_lines(rows), skip_bad=True).run()
    assert submitted is not None
    assert (submitted.status.totals.queued, submitted.status.totals.failed) == (24, 1)
    record = (await records(ledgers, submitted.status.campaign))[4]
    assert (record.row, record.state, record.reason, record.phase, record.attempts) == (
        5,
        State.FAILED,
        "build",
        Phase.BUILD,
        0,
    )
    assert record.text is not None
    assert "row 5" in record.text
    await checked(ledgers, submitted.status.campaign)


async def test_rows_that_are_left_out_are_counted_and_kept_with_their_number(ledgers: Ledgers, shop: Shop) -> None:
    rows = ["a@x.test,A,1", "no address,B,2", "a@X.TEST,C,3", "b@x.test,D,4", ",E,5"]
    submitted = await shop.submission(ledgers, shop.csv(rows)).run()
    assert submitted is not None
    totals = submitted.status.totals
    assert (totals.rows, totals.queued, totals.invalid, totals.duplicate) == (5, 2, 2, 1)
    assert totals.add_up
    campaign = submitted.status.campaign
    assert [(row.row, row.kind) async for row in ledgers.reading.left_out(campaign)] == [
        (2, LeftOutAs.INVALID),
        (3, LeftOutAs.DUPLICATE),
        (5, LeftOutAs.INVALID),
    ]


async def test_who_is_on_the_do_not_send_list_is_booked_and_not_built(ledgers: Ledgers, shop: Shop) -> None:
    await ledgers.suppression.add("p2@x2.test", "asked for it")
    submitted = await shop.submission(ledgers, shop.people(3)).run()
    assert submitted is not None
    assert await states(ledgers, submitted.status.campaign) == ["queued", "suppressed", "queued"]


@pytest.mark.parametrize(
    ("write", "code"),
    [
        (lambda shop: shop.csv([]), "E207"),
        (lambda shop: shop.csv([*(f"p{row}@x.test,n,c" for row in range(30)), '"open@x.test,n,c']), "E204"),
    ],
    ids=["empty", "damaged"],
)
async def test_a_list_that_cannot_be_used_leaves_nothing(
    ledgers: Ledgers, shop: Shop, write: Callable[[Shop], str], code: str
) -> None:
    before = await all_keys(ledgers)
    with pytest.raises(SourceError) as raised:
        await shop.submission(ledgers, write(shop)).run()
    assert raised.value.code == code
    assert await all_keys(ledgers) == before


async def test_who_says_no_when_asked_leaves_nothing(ledgers: Ledgers, shop: Shop) -> None:
    before = await all_keys(ledgers)
    asked: list[int] = []

    def confirm(counts: Counts) -> bool:
        asked.append(counts.new)
        return False

    assert await shop.submission(ledgers, shop.people(15), confirm=confirm).run() is None
    assert asked == [15]
    assert await all_keys(ledgers) == before


@pytest.mark.thorough
async def test_a_list_larger_than_the_high_water_mark_is_stored_while_workers_drain(
    ledgers: Ledgers, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailer.flow.storing.LOW_WATER_POLL_S", 0.001)
    rows = [personal(row) for row in range(1, 204)]
    rows[150] = dict(rows[7])
    rows[160]["email"] = "no address"
    recipients = shop.json_lines(rows)
    chunk_bytes = 0
    most = 0

    async def drain() -> None:
        nonlocal most, chunk_bytes
        await until(lambda: runs(ledgers))
        (campaign_id,) = await ledgers.campaigns.live()
        campaign = (await ledgers.reading.status(campaign_id)).campaign
        async with hand(ledgers) as worker:
            chunk = 0
            while (await ledgers.reading.status(campaign_id)).state is CampaignState.RUNNING:
                before = await ledgers.intake.queued_bytes(campaign)
                most = max(most, before)
                claim = await worker.claim(campaign, chunk)
                if claim.recipients:
                    await worker.finish(claim, SENT)
                    chunk_bytes = max(chunk_bytes, before - await ledgers.intake.queued_bytes(campaign))
                    chunk += 1

    draining = asyncio.create_task(drain())
    submission = shop.submission(ledgers, recipients, high_water=6_000, low_water=3_000)
    submitted = await submission.run()
    await draining
    assert submitted is not None
    assert submitted.status.source_complete
    status = await checked(ledgers, submitted.status.campaign)
    assert status.state is CampaignState.FINISHED
    totals = status.totals
    assert (totals.rows, totals.sent, totals.invalid, totals.duplicate) == (203, 201, 1, 1)
    assert [record.row for record in await records(ledgers, submitted.status.campaign)] == [
        row for row in range(1, 204) if row not in (151, 161)
    ]
    assert len([row async for row in ledgers.reading.left_out(submitted.status.campaign)]) == 2
    assert 3_000 < most <= 6_000 + 2 * chunk_bytes


async def test_a_bad_row_beyond_the_high_water_mark_is_found_before_anything_is_sent(
    ledgers: Ledgers, shop: Shop
) -> None:
    before = await all_keys(ledgers)
    rows = [personal(row) for row in range(1, 101)]
    del rows[98]["name"]
    with pytest.raises(BadRowsError):
        await shop.submission(ledgers, shop.json_lines(rows), high_water=2_000, low_water=1_000).run()
    assert await all_keys(ledgers) == before


async def test_one_that_was_killed_in_the_second_pass_goes_on(
    ledgers: Ledgers, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailer.flow.storing.LOW_WATER_POLL_S", 0.001)
    recipients = shop.json_lines([personal(row) for row in range(1, 101)])
    stuck = asyncio.create_task(shop.submission(ledgers, recipients, high_water=3_000, low_water=2_000).run())
    await until(lambda: runs(ledgers))
    await asyncio.sleep(0.02)  # it waits for workers that never come
    stuck.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stuck
    (campaign_id,) = await ledgers.campaigns.ids()
    status = await ledgers.reading.status(campaign_id)
    assert (status.state, status.source_complete) == (CampaignState.RUNNING, False)
    assert 0 < status.totals.queued < 100
    await shop.submission(ledgers, recipients).run()
    assert await rows_of(ledgers) == list(range(1, 101))
    assert (await ledgers.reading.status(campaign_id)).source_complete


async def test_a_list_that_can_be_read_only_once_must_fit(ledgers: Ledgers, shop: Shop) -> None:
    before = await all_keys(ledgers)
    source = Once([personal(row) for row in range(1, 101)])
    with pytest.raises(SourceError) as raised:
        await shop.submission(ledgers, source, high_water=3_000, low_water=2_000).run()
    assert raised.value.code == "E208"
    assert await all_keys(ledgers) == before


async def test_a_finished_campaign_takes_nobody_more_from_a_list_without_a_hash(ledgers: Ledgers, shop: Shop) -> None:
    first = await shop.submission(ledgers, Once([personal(1)]), key="k").run()
    assert first is not None
    async with hand(ledgers) as worker:
        await worker.finish(await worker.claim(first.status.campaign), SENT)
    second = await shop.submission(ledgers, Once([personal(1), personal(2)]), key="k").run()
    assert second is not None
    assert (second.counts.already, second.counts.new) == (1, 0)
    status = await checked(ledgers, first.status.campaign)
    assert (status.state, status.totals.accepted) == (CampaignState.FINISHED, 1)
