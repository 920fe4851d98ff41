"""Faults 42, 43, 61 and 66 to 73: a relay that says no to us and not to a recipient, or nothing that makes sense."""

import pytest

from mailer.vocabulary.campaign import CampaignState
from mailer.vocabulary.recipient import State
from mailer.vocabulary.settings import DeliverySettings
from tests.faults.steps import Moment, Step
from tests.relays import certificates
from tests.reliability import throttling
from tests.reliability.scene import SOON, Scene, states

PEOPLE = [f"p{number}@x.test" for number in range(6)]


@pytest.mark.parametrize(
    ("step", "reply"),
    [
        pytest.param(Step.CONNECT, b"554 5.7.1 no service for you\r\n", id="42 greeting 554"),
        pytest.param(Step.CONNECT, b"421 4.3.2 too busy\r\n", id="43 greeting 421"),
        pytest.param(Step.STARTTLS, b"454 4.7.0 no TLS just now\r\n", id="66 STARTTLS 454"),
        pytest.param(Step.STARTTLS, b"\x16\x03garbage\r\n", id="66 garbage"),
        pytest.param(Step.AUTH, b"454 4.7.0 try again\r\n", id="71 AUTH 454"),
        pytest.param(Step.AUTH, b"421 4.7.0 too many logins\r\n", id="71 AUTH 421"),
        pytest.param(Step.MAIL, b"452 4.3.1 disk full\r\n", id="61 no room"),
        pytest.param(Step.MAIL, throttling.AMAZON_SES, id="72 SES"),
        pytest.param(Step.MAIL, throttling.EXCHANGE_ONLINE, id="72 Exchange Online"),
    ],
)
async def test_42_43_61_66_71_72_trouble_of_the_route_rests_the_route_and_burns_nobody(
    scene: Scene, step: Step, reply: bytes
) -> None:
    """Not a recipient's outcome: the relay is left alone for a while, and then everybody is sent to."""
    scene.always_answers(step, reply)
    campaign = await scene.submit(PEOPLE)
    async with scene.at_work():
        await scene.holds(campaign, lambda status: status.next_due_ms is not None)
    await scene.unburned(campaign)
    assert scene.seen(Step.CONNECT) <= 2
    scene.sink.sticky.clear()
    await scene.hurry(campaign)
    await scene.worked_off(campaign)
    assert states(await scene.books(campaign)) == [State.SENT] * len(PEOPLE)


async def test_68_a_certificate_that_is_exchanged_in_the_middle_pauses_the_campaign(scene: Scene) -> None:
    """Not retried as if the relay were away: the cause is named, nothing goes out, and nobody is burned."""
    mine = scene.sink._context
    for other, word in (
        (certificates.issue(days=-1), "E4"),
        (certificates.issue("other.test"), "E4"),
        (certificates.issue(), "E4"),
    ):
        scene.sink._context = other.server_context
        campaign = await scene.submit(PEOPLE)
        async with scene.at_work():
            await scene.holds(campaign, lambda status: status.state is CampaignState.PAUSED)
        status = await scene.status(campaign)
        assert status.paused_reason is not None
        assert status.paused_reason.startswith(word)
        assert "certificate" in status.paused_reason
        assert (status.totals.queued, scene.seen(Step.AUTH)) == (len(PEOPLE), 0)
        assert await scene.ledgers.control.cancel(campaign.id, "enough")
    scene.sink._context = mine
    campaign = await scene.submit(PEOPLE)
    await scene.worked_off(campaign)
    assert states(await scene.books(campaign)) == [State.SENT] * len(PEOPLE)


async def test_70_a_password_that_is_changed_in_the_middle_stops_all_workers_after_one_attempt_each(
    scene: Scene,
) -> None:
    """The account is not locked by us; with the new password it goes on."""
    campaign = await scene.submit([f"p{number}@x.test" for number in range(40)], chunk=5, max_messages_per_connection=2)

    async def rotate(moment: Moment) -> bytes | None:
        if (moment.step, moment.count) == (Step.REPLIED, 8):
            scene.sink._password = "a new one"
            logins.append(scene.seen(Step.AUTH))
        return None

    logins: list[int] = []
    scene.on_step = rotate
    async with scene.at_work(), scene.at_work():
        await scene.holds(campaign, lambda status: status.state is CampaignState.PAUSED)
    assert scene.seen(Step.AUTH) - logins[0] <= 2
    status = await scene.status(campaign)
    assert "535" in (status.paused_reason or "")
    assert status.totals.sent + status.totals.queued == 40
    assert await scene.ledgers.control.resume(campaign.id)
    async with scene.at_work(password="a new one"):
        await scene.finished(campaign)
    assert set(states(await scene.books(campaign))) == {State.SENT}


@pytest.mark.parametrize(
    "reply",
    [b"432 4.7.12 a password transition is needed\r\n", b"535 5.7.8 no\r\n"],
    ids=["71 AUTH 432", "69 AUTH 535"],
)
async def test_69_71_what_only_a_person_can_mend_pauses_after_one_login(scene: Scene, reply: bytes) -> None:
    """A login is never tried a second time by itself."""
    scene.always_answers(Step.AUTH, reply)
    campaign = await scene.submit(PEOPLE)
    async with scene.at_work():
        await scene.holds(campaign, lambda status: status.state is CampaignState.PAUSED)
    assert scene.seen(Step.AUTH) == 1
    assert (await scene.status(campaign)).totals.queued == len(PEOPLE)


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(b"450 4.2.1 The user you are trying to contact is receiving mail too quickly\r\n", id="450 4.2.1"),
        pytest.param(throttling.GMAIL, id="421 4.7.28"),
    ],
)
async def test_72_a_rate_limit_at_a_recipient_uses_up_no_attempt(scene: Scene, reply: bytes) -> None:
    """More of them than there are attempts, and it is sent in the end."""
    scene.answers(Step.RCPT, *[reply] * 3, to=PEOPLE[0])
    campaign = await scene.submit(PEOPLE[:2], delivery=DeliverySettings(retry_delays=SOON, max_attempts=2))
    await scene.worked_off(campaign)
    found = await scene.books(campaign)
    assert states(found) == [State.SENT, State.SENT]
    assert found[PEOPLE[0]].attempts == 1


MALFORMED = {
    "code below 200": b"199 what\r\n",
    "code above 599": b"650 what\r\n",
    "no code": b"yes\r\n",
    "64 KB": b"250 " + b"x" * 65_536 + b"\r\n",
    "lines of two codes": b"250-one\r\n550 two\r\n",
    "more replies than commands": b"250 2.1.5 Ok\r\n250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n",
}


@pytest.mark.parametrize("step", [Step.RCPT, Step.DOT])
@pytest.mark.parametrize("reply", MALFORMED.values(), ids=MALFORMED)
async def test_73_what_is_no_reply_ends_the_connection_and_never_means_sent(
    scene: Scene, step: Step, reply: bytes
) -> None:
    """Before the body the message goes over another connection, after it nobody can know."""
    answered: list[Moment] = []

    async def garble(moment: Moment) -> bytes | None:
        if moment.step is (Step.FSYNCED if step is Step.DOT else step) and not answered:
            answered.append(moment)
            return reply
        return None

    scene.on_step = garble
    campaign = await scene.submit(PEOPLE[:2])
    await scene.worked_off(campaign)
    first, second = states(await scene.books(campaign))
    assert second is State.SENT
    if step is Step.RCPT:
        assert first is State.SENT
    elif reply is MALFORMED["more replies than commands"]:
        # The first of them is a yes to the dot; what follows it ends the connection.
        assert first is State.SENT
    else:
        assert first is State.IN_DOUBT
    assert scene.given == dict.fromkeys(PEOPLE[:2], 1)
    assert scene.seen(Step.CONNECT) == 2


async def test_73_nul_and_bytes_that_are_no_text_are_recorded_safely(scene: Scene) -> None:
    """What a relay says is evidence: it is made harmless, kept, and no reason to fail."""
    scene.always_answers(Step.RCPT, b"450 4.2.0 no \xff\xfe\x00\x1b[31m user\r\n", to=PEOPLE[0])
    campaign = await scene.submit(PEOPLE[:2], delivery=DeliverySettings(retry_delays=SOON, max_attempts=2))
    await scene.worked_off(campaign)
    found = await scene.books(campaign)
    assert states(found) == [State.FAILED, State.SENT]
    assert found[PEOPLE[0]].text == "no \\xff\\xfe [31m user"
