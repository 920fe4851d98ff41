"""What one sending may ask for: some of the rows, rows of another list, a stream, a test, a time to begin."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from mailer.backends.redis.ledgers import Ledgers
from mailer.flow.counts import Counts
from mailer.flow.problems import BadRowsError
from mailer.flow.warnings import warnings_of
from mailer.vocabulary.campaign import CampaignState, CampaignStatus
from mailer.vocabulary.chunk import Draft
from mailer.vocabulary.errors import MailerError, SourceError, UsageError
from mailer.vocabulary.recipient import LeftOutAs
from tests.flow.submitting import Once, Shop, work_off
from tests.ledger.campaigns import checked, records


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


Submit = Callable[..., Awaitable[CampaignStatus]]


@pytest.fixture
def submit(ledgers: Ledgers, shop: Shop) -> Submit:
    """Submit a list and look at what became of it; the ledger must agree with itself."""

    async def submit(recipients: Any, **asked: Any) -> CampaignStatus:
        submitted = await shop.submission(ledgers, recipients, **asked).run()
        assert submitted is not None
        status = await ledgers.campaigns.status(submitted.status.campaign.id)
        await checked(ledgers, status.campaign)
        return status

    return submit


async def rows_in(ledgers: Ledgers, status: CampaignStatus) -> list[int]:
    return [record.row for record in await records(ledgers, status.campaign)]


async def emails_in(ledgers: Ledgers, status: CampaignStatus) -> list[str]:
    return [record.email for record in await records(ledgers, status.campaign)]


async def test_a_limit_and_later_the_rest_are_one_campaign(ledgers: Ledgers, shop: Shop, submit: Submit) -> None:
    """The key is the same, nobody is stored twice, and the totals add up both times."""
    first = await submit(shop.people(25), limit=10)
    assert (first.state, first.source_complete, first.totals.accepted) == (CampaignState.RUNNING, True, 10)
    assert await rows_in(ledgers, first) == list(range(1, 11))
    rest = await submit(shop.people(25))
    assert rest.campaign.id == first.campaign.id
    assert (rest.totals.accepted, rest.chosen) == (25, None)
    assert await rows_in(ledgers, rest) == list(range(1, 26))


async def test_the_rest_after_a_finished_limit_runs_again(ledgers: Ledgers, shop: Shop, submit: Submit) -> None:
    """Finished means: to the limit. More makes it run, and again nothing is stored twice."""
    first = await submit(shop.people(25), limit=10)
    await work_off(ledgers, first.campaign)
    assert (await ledgers.campaigns.status(first.campaign.id)).state is CampaignState.FINISHED
    rest = await submit(shop.people(25), offset=20)
    assert (rest.state, rest.totals.queued, rest.totals.sent) == (CampaignState.RUNNING, 5, 10)
    assert await rows_in(ledgers, rest) == [*range(1, 11), *range(21, 26)]
    again = await submit(shop.people(25), offset=20)
    assert again.totals == rest.totals


async def test_invalid_and_duplicate_rows_are_counted_once_over_all_parts(shop: Shop, submit: Submit) -> None:
    """Parts that overlap count what they left out as one pass over all of them would."""
    people = shop.csv(
        ["a@x.test,A,B", "nobody,A,B", "a@x.test,A,B", "b@x.test,A,B", "nothing,A,B", "b@x.test,A,B", "c@x.test,A,B"]
    )
    await submit(people, limit=3)
    part = await submit(people, offset=1, limit=4)
    assert (part.totals.rows, part.totals.invalid, part.totals.duplicate) == (5, 2, 1)
    whole = await submit(people)
    assert (whole.totals.rows, whole.totals.accepted, whole.totals.invalid, whole.totals.duplicate) == (7, 3, 2, 2)


async def test_a_sample_takes_rows_from_all_over_the_list(ledgers: Ledgers, shop: Shop, submit: Submit) -> None:
    status = await submit(shop.people(40), sample=4)
    assert await rows_in(ledgers, status) == [1, 11, 21, 31]


async def test_no_such_rows_is_said_and_nothing_is_left(ledgers: Ledgers, shop: Shop, submit: Submit) -> None:
    with pytest.raises(SourceError, match="no such rows"):
        await submit(shop.people(5), offset=5)
    assert await ledgers.campaigns.ids() == []


async def test_a_draft_of_all_rows_that_was_cut_off_does_not_leak_into_a_limited_one(
    ledgers: Ledgers, shop: Shop, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks for ten rows gets ten, whatever an earlier run had stored before it was killed."""
    accept, stored = ledgers.intake.accept, 0

    async def accept_twice(campaign: Any, drafts: Any) -> Any:
        nonlocal stored
        stored += 1
        if stored == 3:
            raise KeyboardInterrupt
        return await accept(campaign, drafts)

    monkeypatch.setattr(ledgers.intake, "accept", accept_twice)
    with pytest.raises(KeyboardInterrupt):
        await shop.submission(ledgers, shop.people(40)).run()
    monkeypatch.undo()
    status = await submit(shop.people(40), limit=5)
    assert await rows_in(ledgers, status) == [1, 2, 3, 4, 5]


async def test_append_adds_only_who_is_new(ledgers: Ledgers, shop: Shop, submit: Submit) -> None:
    """The same key with another list: without `append` an error, with it the new ones are added, once."""
    first = await submit(shop.people(10), key="k")
    await work_off(ledgers, first.campaign)
    with pytest.raises(UsageError, match="other content") as refused:
        await submit(shop.people(12), key="k")
    assert refused.value.code == "E205"
    more = await submit(shop.people(12), key="k", append=True)
    assert more.campaign.id == first.campaign.id
    assert (more.state, more.totals.sent, more.totals.queued) == (CampaignState.RUNNING, 10, 2)
    assert (await submit(shop.people(12), key="k", append=True)).totals == more.totals
    assert await emails_in(ledgers, more) == [f"p{row}@x{row % 7}.test" for row in range(1, 13)]


async def test_append_counts_the_rows_it_leaves_out_once(shop: Shop, submit: Submit) -> None:
    await submit(shop.csv(["a@x.test,A,B", "nobody,A,B"]), key="k")
    added = shop.csv(["a@x.test,A,B", "b@x.test,A,B", "b@x.test,A,B", "nothing,A,B"])
    for _ in range(2):
        status = await submit(added, key="k", append=True)
        assert (status.totals.accepted, status.totals.invalid, status.totals.duplicate) == (2, 2, 1)


async def test_a_bad_row_of_an_appended_list_is_found_before_anybody_gets_it(
    ledgers: Ledgers, shop: Shop, submit: Submit
) -> None:
    """The campaign may be running: the whole list is checked before its first row is stored."""
    first = await submit(shop.people(5), key="k")
    rows: list[dict[str, object]] = [{"email": f"n{row}@x.test", "name": "N", "city": "C"} for row in range(20)]
    with pytest.raises(BadRowsError):
        await submit(shop.json_lines([*rows, {"email": "last@x.test", "name": "N"}]), key="k", append=True)
    status = await ledgers.campaigns.status(first.campaign.id)
    assert (status.state, status.source_complete, status.totals.accepted) == (CampaignState.RUNNING, True, 5)


async def test_append_works_from_a_list_that_can_be_read_only_once(shop: Shop, submit: Submit) -> None:
    await submit(shop.people(5), key="k")
    people: list[dict[str, object]] = [{"email": f"n{row}@x.test", "name": "N", "city": "C"} for row in range(20)]
    status = await submit(Once(people), key="k", append=True)
    assert status.totals.accepted == 25


async def test_an_append_that_was_cut_off_goes_on(
    ledgers: Ledgers, shop: Shop, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until its end is reached the campaign is not finished; the same command again reaches it."""
    first = await submit(shop.people(5), key="k")
    accept, stored = ledgers.intake.accept, 0

    async def accept_once(campaign: Any, drafts: Any) -> Any:
        nonlocal stored
        stored += 1
        if stored == 2:
            raise KeyboardInterrupt
        return await accept(campaign, drafts)

    monkeypatch.setattr(ledgers.intake, "accept", accept_once)
    with pytest.raises(KeyboardInterrupt):
        await shop.submission(ledgers, shop.people(30), key="k", append=True).run()
    monkeypatch.undo()
    await work_off(ledgers, first.campaign)
    assert (await ledgers.campaigns.status(first.campaign.id)).state is CampaignState.RUNNING
    status = await submit(shop.people(30), key="k", append=True)
    assert status.totals.accepted == 30
    await work_off(ledgers, first.campaign)
    assert (await ledgers.campaigns.status(first.campaign.id)).state is CampaignState.FINISHED


async def test_a_stream_runs_before_it_has_been_read_to_the_end(
    ledgers: Ledgers, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers find jobs while rows are still coming, but only the end of the source can make it finished."""
    accept = ledgers.intake.accept
    seen: list[tuple[CampaignState, bool, int]] = []

    async def accept_and_look(campaign: Any, drafts: list[Draft]) -> Any:
        answer = await accept(campaign, drafts)
        status = await ledgers.campaigns.status(campaign.id)
        await work_off(ledgers, campaign)
        seen.append((status.state, status.source_complete, (await ledgers.campaigns.status(campaign.id)).totals.sent))
        return answer

    monkeypatch.setattr(ledgers.intake, "accept", accept_and_look)
    people: list[dict[str, object]] = [{"email": f"n{row}@x.test", "name": "N", "city": "C"} for row in range(30)]
    submitted = await shop.submission(ledgers, Once(people), stream=True, high_water=1000, low_water=500).run()
    assert seen == [(CampaignState.RUNNING, False, sent) for sent in (10, 20, 30)]
    assert submitted is not None
    assert (submitted.status.state, submitted.status.totals.sent) == (CampaignState.FINISHED, 30)


async def test_a_stream_without_rows_leaves_nothing(ledgers: Ledgers, shop: Shop) -> None:
    with pytest.raises(SourceError, match="no recipients"):
        await shop.submission(ledgers, Once([]), stream=True).run()
    assert await ledgers.campaigns.ids() == []


async def test_a_list_too_large_to_be_read_once_names_the_stream(ledgers: Ledgers, shop: Shop) -> None:
    people: list[dict[str, object]] = [
        {"email": f"n{row}@x.test", "name": "N" * 500, "city": str(row) * 90} for row in range(60)
    ]
    with pytest.raises(SourceError) as refused:
        await shop.submission(ledgers, Once(people), high_water=1000, low_water=500).run()
    assert refused.value.code == "E208"
    assert "stream=True" in str(refused.value.hint)


async def test_new_sends_the_same_content_again(shop: Shop, submit: Submit) -> None:
    first = await submit(shop.people(5))
    second = await submit("people.csv", prepared=shop.prepared(shop.people(5), new=True))
    assert second.campaign.id != first.campaign.id
    assert second.totals.accepted == 5


async def test_a_test_goes_to_one_address_only_as_a_campaign_of_its_own(
    ledgers: Ledgers, shop: Shop, submit: Submit
) -> None:
    """As many messages as rows, each to the tester, in To too; the campaign itself is untouched."""
    first = await submit(shop.people(5))
    prepared = shop.prepared(
        shop.people(5), test_to="me@acme.test", to="{{ name }} <{{ email }}>", cc="boss@acme.test", name="news"
    )
    test = await submit("people.csv", prepared=prepared, limit=3)
    assert test.campaign.id.startswith("news-test-")
    assert test.campaign.id != first.campaign.id
    assert await emails_in(ledgers, test) == ["me@acme.test"] * 3
    assert len({record.message_id for record in await records(ledgers, test.campaign)}) == 3


async def test_who_is_in_an_excluded_campaign_is_left_out_and_said_so(
    ledgers: Ledgers, shop: Shop, submit: Submit
) -> None:
    first = await submit(shop.people(5), name="first")
    status = await submit(shop.people(8), name="second", exclude=first.campaign.id)
    assert await rows_in(ledgers, status) == [6, 7, 8]
    left_out = [row async for row in ledgers.reading.left_out(status.campaign)]
    assert {(row.kind, row.reason) for row in left_out} == {(LeftOutAs.DUPLICATE, f"in {first.campaign.id}")}


async def test_an_excluded_campaign_must_exist(shop: Shop, submit: Submit) -> None:
    with pytest.raises(MailerError) as refused:
        await submit(shop.people(5), exclude="nothing-0000")
    assert refused.value.code == "E109"


async def test_a_campaign_for_later_waits_for_its_time(ledgers: Ledgers, shop: Shop, submit: Submit) -> None:
    status = await submit(shop.people(5), at_ms=4_000_000_000_000)
    assert (status.state, status.at_ms, status.totals.queued) == (CampaignState.SCHEDULED, 4_000_000_000_000, 5)
    assert await ledgers.jobs.waiting() == 0


async def test_rows_kept_although_their_address_came_before_are_recipients_of_their_own(
    ledgers: Ledgers, shop: Shop, submit: Submit
) -> None:
    """`duplicates = "keep"`: every row is sent, each with a Message-ID of its own, and twice is still once."""
    people = shop.csv(["a@x.test,A,One", "b@x.test,B,Two", "a@x.test,A,Three"])
    for _ in range(2):
        status = await submit(people, duplicates="keep")
        assert (status.totals.rows, status.totals.accepted, status.totals.duplicate) == (3, 3, 0)
    assert await emails_in(ledgers, status) == ["a@x.test", "b@x.test", "a@x.test"]
    assert len({record.message_id for record in await records(ledgers, status.campaign)}) == 3


async def test_copies_are_recipients_with_the_number_of_their_row(ledgers: Ledgers, shop: Shop, submit: Submit) -> None:
    """Cc and Bcc count as addresses, are never duplicates, and share the Message-ID of their row."""
    people = shop.csv(["a@x.test,A,One", "b@x.test,B,Two"])
    for _ in range(2):
        status = await submit(people, cc="boss@acme.test", bcc="archive@acme.test, a@x.test")
        assert (status.totals.rows, status.totals.accepted) == (7, 7)
    found = await records(ledgers, status.campaign)
    assert [(record.row, record.email) for record in found] == [
        (1, "a@x.test"),
        (1, "boss@acme.test"),
        (1, "archive@acme.test"),
        (2, "b@x.test"),
        (2, "boss@acme.test"),
        (2, "archive@acme.test"),
        (2, "a@x.test"),
    ]
    assert [len({record.message_id for record in found if record.row == row}) for row in (1, 2)] == [1, 1]


async def test_a_suppressed_copy_is_suppressed_alone(ledgers: Ledgers, shop: Shop, submit: Submit) -> None:
    await ledgers.suppression.add("boss@acme.test", "asked for it")
    status = await submit(shop.people(2), cc="boss@acme.test")
    assert (status.totals.queued, status.totals.suppressed) == (2, 2)


async def test_the_token_needs_its_secret(shop: Shop) -> None:
    (shop.folder / "templates" / "hello" / "body.txt.j2").write_text("{{ token }}")
    with pytest.raises(UsageError) as refused:
        shop.prepared(shop.people(2))
    assert refused.value.code == "E133"
    shop.prepared(shop.people(2), token_secret=b"0123456789abcdef")


async def test_rows_that_are_kept_twice_and_addresses_that_differ_in_case_are_told(
    ledgers: Ledgers, shop: Shop
) -> None:
    """Both are sent, and somebody should know (W210, W211)."""
    people = shop.csv(["ann@x.test,A,A", "Ann@X.test,A,A", "bob@x.test,B,B", "bob@x.test,B,B", "CARL@x.test,C,C"])
    told: dict[str, list[str]] = {}
    for duplicates in ("first", "keep"):
        prepared = shop.prepared(people, duplicates=duplicates)
        submitted = await shop.submission(ledgers, people, prepared=prepared).run()
        assert submitted is not None
        told[duplicates] = [warning.code for warning in warnings_of(prepared, submitted.counts, submitted.examples)]
    assert told == {"first": ["W210", "W211"], "keep": ["W210", "W211"]}


async def test_copies_and_kept_rows_of_an_appended_list_are_not_taken_for_those_there_are(
    ledgers: Ledgers, shop: Shop, submit: Submit
) -> None:
    """Its rows are numbered on, so that the second list's first row is not the first list's."""
    header = "email,name,city"
    await submit(shop.csv(["a@x.test,A,A", "b@x.test,B,B"], header), key="c", cc="boss@acme.test")
    added = shop.csv(["c@x.test,C,C", "d@x.test,D,D", "a@x.test,A,A"], header)
    for _ in range(2):
        status = await submit(added, key="c", cc="boss@acme.test", append=True)
        assert status.totals.accepted == 8
    boss = [record.row for record in await records(ledgers, status.campaign) if record.email == "boss@acme.test"]
    assert boss == [1, 2, 5, 6]
    await submit(shop.csv(["a@x.test,A,A"], header), key="k", duplicates="keep")
    kept = await submit(shop.csv(["a@x.test,A,Z"], header), key="k", duplicates="keep", append=True)
    assert kept.totals.accepted == 2
    assert len({record.message_id for record in await records(ledgers, kept.campaign)}) == 2


async def test_the_number_that_is_asked_about_is_the_number_that_is_sent(ledgers: Ledgers, shop: Shop) -> None:
    """For a draft that was cut off, for the rest after a limit, and for an appended list."""
    asked: list[int] = []

    async def submit(people: str, **options: Any) -> int:
        def confirm(counts: Counts) -> bool:
            asked.append(counts.to_send)
            return True

        submitted = await shop.submission(ledgers, people, confirm=confirm, **options).run()
        assert submitted is not None
        return submitted.counts.new

    sent = [
        await submit(shop.people(8), key="k", limit=6),
        await submit(shop.people(8), key="k"),
        await submit(shop.people(9), key="k", append=True),
    ]
    assert asked == sent == [6, 2, 1]
    assert await submit(shop.people(9), key="k", append=True) == 0
    assert len(asked) == 3


async def test_a_test_of_several_rows_warns_of_nothing(ledgers: Ledgers, shop: Shop) -> None:
    """That all of them go to one address is what was asked for."""
    prepared = shop.prepared(shop.people(5), test_to="me@acme.test")
    submitted = await shop.submission(ledgers, "people.csv", prepared=prepared).run()
    assert submitted is not None
    assert list(warnings_of(prepared, submitted.counts, submitted.examples)) == []


async def test_a_column_called_token_is_a_column(shop: Shop) -> None:
    (shop.folder / "templates" / "hello" / "body.txt.j2").write_text("{{ token }}")
    shop.prepared(shop.csv(["a@x.test,A,B,ABC"], "email,name,city,token"))
