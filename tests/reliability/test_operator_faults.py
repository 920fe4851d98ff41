"""Faults 54 to 64, 87 to 91, 98 and 99: refusals of every kind, and what a person does while workers send."""

import asyncio

import pytest

from mailer.vocabulary.campaign import Campaign, CampaignState
from mailer.vocabulary.recipient import State
from mailer.vocabulary.settings import DeliverySettings
from tests.faults.acceptance import now_ms
from tests.faults.steps import Moment, Step
from tests.reliability.scene import Scene

NO_SUCH_USER = b"550 5.1.1 no such user here\r\n"
GREYLISTED = b"450 4.2.0 greylisted, come again\r\n"
SPAM = b"554 5.7.1 this smells of spam\r\n"


def people(count: int, domain: str = "x.test") -> list[str]:
    return [f"p{number}@{domain}" for number in range(count)]


async def paused(scene: Scene, campaign: Campaign) -> str:
    """Let a worker work until the campaign is paused; returns the reason."""
    async with scene.at_work():
        await scene.holds(campaign, lambda status: status.state is CampaignState.PAUSED)
    return (await scene.status(campaign)).paused_reason or ""


async def test_54_refusals_in_a_row_do_not_use_up_the_patience_of_a_server(scene: Scene) -> None:
    """Sixty bad of a hundred: connections are replaced before the relay hangs up, and nobody is wrongly refused."""
    everybody = people(100)
    for bad in everybody[:60]:
        scene.always_answers(Step.RCPT, NO_SUCH_USER, to=bad)
    campaign = await scene.submit(everybody)
    await scene.worked_off(campaign)
    found = await scene.books(campaign)
    assert [found[one].state for one in everybody] == [State.REFUSED] * 60 + [State.SENT] * 40
    by_session: dict[int, int] = {}
    for moment in scene.steps:
        if moment.step is Step.RCPT and moment.address in everybody[:60]:
            by_session[moment.session] = by_session.get(moment.session, 0) + 1
    assert max(by_session.values()) <= 10


async def test_55_a_server_that_closes_after_some_messages_costs_no_attempt(scene: Scene) -> None:
    """421 at the fourth MAIL of every connection."""
    counts: dict[int, int] = {}

    async def three(moment: Moment) -> bytes | None:
        if moment.step is Step.MAIL:
            counts[moment.session] = counts.get(moment.session, 0) + 1
            if counts[moment.session] > 3:
                return b"421 4.7.0 too many messages on this connection\r\n"
        return None

    scene.on_step = three
    campaign = await scene.submit(people(7))
    await scene.worked_off(campaign)
    found = await scene.books(campaign)
    assert {(record.state, record.attempts) for record in found.values()} == {(State.SENT, 1)}
    assert len(counts) == 3


async def test_56_57_each_recipient_has_his_own_answer(scene: Scene) -> None:
    """Greylisted: deferred with a time of his own, and sent then. Refused: with code and text. The others: sent."""
    grey, bad, *good = everybody = people(8)
    scene.answers(Step.RCPT, GREYLISTED, to=grey)
    scene.always_answers(Step.RCPT, NO_SUCH_USER, to=bad)
    campaign = await scene.submit(everybody)
    await scene.worked_off(campaign)
    found = await scene.books(campaign)
    assert (found[grey].state, found[grey].attempts) == (State.SENT, 2)
    assert (found[bad].state, found[bad].code, found[bad].words) == (State.REFUSED, 550, "5.1.1 no such user here")
    assert {found[one].state for one in good} == {State.SENT}


async def test_58_where_everybody_is_refused_no_body_leaves_and_the_connection_is_kept(scene: Scene) -> None:
    """One connection, no message."""
    scene.sink.sticky.update({(Step.RCPT, one): NO_SUCH_USER for one in people(4)})
    campaign = await scene.submit(people(4))
    await scene.worked_off(campaign)
    assert {record.state for record in (await scene.books(campaign)).values()} == {State.REFUSED}
    assert (scene.seen(Step.CONNECT), scene.seen(Step.BODY)) == (1, 0)


async def test_60_a_message_larger_than_the_server_announces_is_not_offered_to_it(scene: Scene) -> None:
    """Failed (too big) before MAIL is said; the relay need not refuse what it cannot take."""
    campaign = await scene.submit(people(3), body=b"more and more\r\n" * 80_000)
    await scene.worked_off(campaign)
    found = await scene.books(campaign)
    assert {(record.state, record.reason) for record in found.values()} == {(State.FAILED, "too_big")}
    assert scene.seen(Step.MAIL) == 0


async def test_62_refused_content_pauses_the_campaign_after_five_in_a_row(scene: Scene) -> None:
    """Five are refused with the server's words, the others wait for a person."""
    scene.sink.sticky.update({(Step.DOT, one): SPAM for one in people(12)})
    campaign = await scene.submit(people(12))
    reason = await paused(scene, campaign)
    assert "5.7.1 this smells of spam" in reason
    totals = (await scene.status(campaign)).totals
    assert (totals.refused, totals.queued) == (5, 7)
    await scene.books(campaign)


async def test_64_a_refused_sender_pauses_the_campaign_and_burns_nobody(scene: Scene) -> None:
    """It is about us: everybody stays queued."""
    scene.always_answers(Step.MAIL, b"550 5.1.8 we do not know this sender\r\n")
    campaign = await scene.submit(people(6))
    assert "sender" in await paused(scene, campaign)
    assert (await scene.status(campaign)).totals.queued == 6
    assert {record.attempts for record in (await scene.books(campaign)).values()} == {0}


@pytest.mark.parametrize("when", [1, 10, 30])
async def test_87_after_a_cancel_nothing_more_begins(scene: Scene, when: int) -> None:
    """What is in flight finishes; whoever waits is cancelled; a second later the relay sees nothing any more."""
    cancelled: list[float] = []

    async def cancel() -> None:
        await scene.ledgers.control.cancel(campaign.id, "wrong price")
        cancelled.append(now_ms())

    tasks: list[asyncio.Task[None]] = []

    async def hook(moment: Moment) -> bytes | None:
        if (moment.step, moment.count) == (Step.DATA, when):
            tasks.append(asyncio.create_task(cancel()))
        return None

    scene.on_step = hook
    campaign = await scene.submit(people(200), chunk=50, max_connections=3)
    async with scene.at_work():
        await scene.holds(campaign, lambda status: status.state is CampaignState.CANCELLED and not status.totals.open)
    await asyncio.gather(*tasks)
    found = await scene.books(campaign)
    assert {record.state for record in found.values()} <= {State.SENT, State.CANCELLED}
    assert sum(record.state is State.CANCELLED for record in found.values()) > 0
    assert all(entry.ms <= cancelled[0] + 1000 for entry in scene.sink.log.read().accepted)


@pytest.mark.parametrize("times", [3, pytest.param(20, marks=pytest.mark.every_point)])
async def test_88_paused_resumed_and_restarted_again_and_again_everybody_has_exactly_one(
    scene: Scene, times: int
) -> None:
    """Nobody twice, nobody skipped."""
    everybody = people(40 * times)
    campaign = await scene.submit(everybody, chunk=10, max_connections=3)
    for _ in range(times):
        before = scene.given.total()
        async with scene.at_work():
            await scene.holds(campaign, lambda status, before=before: status.totals.sent > before)  # type: ignore[misc]
            await scene.ledgers.control.pause(campaign.id, "a look")
        assert await scene.ledgers.control.resume(campaign.id)
    await scene.worked_off(campaign, within=30)
    assert {record.state for record in (await scene.books(campaign)).values()} == {State.SENT}
    assert scene.given == dict.fromkeys(everybody, 1)


async def test_89_finished_is_said_when_nobody_is_open_and_never_before(scene: Scene) -> None:
    """Asked all the time while two workers send, defer and refuse: the sums hold at every moment."""
    everybody = people(60)
    for grey in everybody[::10]:
        scene.answers(Step.RCPT, GREYLISTED, to=grey)
    campaign = await scene.submit(everybody, chunk=10, max_connections=2)
    asked = 0
    async with scene.at_work(), scene.at_work():
        while True:
            status = await scene.status(campaign)
            assert status.totals.add_up
            asked += 1
            if status.state is CampaignState.FINISHED:
                break
            await asyncio.sleep(0)
    assert asked > 10
    assert status.totals.open == 0
    assert status.totals.sent == len(everybody)
    await scene.books(campaign)


async def test_91_an_address_that_is_suppressed_in_the_middle_gets_nothing_more(scene: Scene) -> None:
    """Also who has been claimed already: it is looked at again just before the message."""
    everybody = people(40)
    late = everybody[-1]

    async def hook(moment: Moment) -> bytes | None:
        if (moment.step, moment.count) == (Step.RCPT, 5):
            assert await scene.ledgers.suppression.add(late, "unsubscribed")
        return None

    scene.on_step = hook
    campaign = await scene.submit(everybody)
    await scene.worked_off(campaign)
    found = await scene.books(campaign)
    assert found[late].state is State.SUPPRESSED
    assert scene.given[late] == 0
    assert sum(record.state is State.SENT for record in found.values()) == 39


async def test_98_a_large_domain_that_is_down_holds_up_nobody_else(scene: Scene) -> None:
    """Its recipients are deferred one by one, and everybody else is sent to."""
    big, others = people(30, "big.test"), people(30, "small.test")
    for one in big:
        scene.always_answers(Step.RCPT, b"451 4.4.1 big.test does not answer\r\n", to=one)
    mixed = [one for pair in zip(big, others, strict=True) for one in pair]
    campaign = await scene.submit(mixed, delivery=DeliverySettings(), chunk=20)
    async with scene.at_work():
        await scene.holds(campaign, lambda status: status.totals.sent == len(others))
    found = await scene.books(campaign)
    assert {found[one].state for one in others} == {State.SENT}
    assert {found[one].state for one in big} <= {State.DEFERRED, State.QUEUED, State.CLAIMED}
    assert (await scene.status(campaign)).state is CampaignState.RUNNING


async def test_99_of_two_campaigns_the_poisoned_one_pauses_and_the_other_finishes(scene: Scene) -> None:
    """Same relay, same workers."""
    bad, good = people(30, "bad.test"), people(30, "good.test")
    scene.sink.sticky.update({(Step.DOT, one): SPAM for one in bad})
    poisoned = await scene.submit(bad, chunk=10)
    other = await scene.submit(good, chunk=10)
    async with scene.at_work():
        await scene.finished(other)
        await scene.holds(poisoned, lambda status: status.state is CampaignState.PAUSED)
    assert {record.state for record in (await scene.books(other)).values()} == {State.SENT}
    totals = (await scene.status(poisoned)).totals
    assert totals.sent == 0
    assert totals.refused + totals.queued == 30
