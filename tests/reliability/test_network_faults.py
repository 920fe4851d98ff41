"""Faults 40 to 53, 63, 75 and 76: a relay is away, closes, hangs or crawls, and a network in between loses bytes."""

import asyncio
import socket
from typing import Any

import pytest
import structlog.testing

from mailer.vocabulary.campaign import Campaign, CampaignState
from mailer.vocabulary.recipient import State
from mailer.vocabulary.settings import DeliverySettings, SmtpSettings
from tests.faults.proxy import End, Harm, Proxy
from tests.faults.steps import CutError, Moment, Step
from tests.reliability.scene import SOON, Scene, states
from tests.servers import until

PEOPLE = [f"p{number}@x.test" for number in range(6)]


async def test_40_a_relay_that_is_away_is_waited_for_and_the_log_says_so(scene: Scene) -> None:
    """A closed port: nobody fails, nobody's attempt counts, and when it opens everybody is sent to."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        campaign = await scene.submit(PEOPLE, port=place.getsockname()[1])
        with structlog.testing.capture_logs() as logs:
            async with scene.at_work():
                await scene.holds(campaign, lambda status: status.next_due_ms is not None)
        assert [(line["event"], line["code"]) for line in logs if "waiting" in line["event"]] == [
            ("waiting for the server", "E431")
        ]
        await scene.unburned(campaign)
        async with Proxy(scene.sink.port) as opened:
            other = scene.orders(smtp={"url": f"smtp+starttls://sender@localhost:{opened.listens_on}"})
            await scene.hurry(campaign)
            async with scene.at_work(smtp=other.smtp):
                await scene.finished(campaign)
    assert states(await scene.books(campaign)) == [State.SENT] * len(PEOPLE)


async def test_41_a_name_server_that_fails_in_the_middle_is_waited_for(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is connected goes on, and who must connect again waits; nobody is burned."""
    campaign = await scene.submit(PEOPLE, max_messages_per_connection=3)
    loop = asyncio.get_running_loop()
    lookup, is_down = loop.getaddrinfo, True

    async def getaddrinfo(*arguments: Any, **options: Any) -> Any:
        if is_down and scene.seen(Step.REPLIED):
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return await lookup(*arguments, **options)

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    async with scene.at_work():
        await scene.holds(campaign, lambda status: status.next_due_ms is not None)
        status = await scene.status(campaign)
        assert (status.state, status.totals.sent, status.totals.queued) == (CampaignState.RUNNING, 3, 3)
        is_down = False
        await scene.hurry(campaign)
        await scene.finished(campaign)
    assert states(await scene.books(campaign)) == [State.SENT] * len(PEOPLE)


@pytest.mark.parametrize("is_restarted", [False, True], ids=["44 closed while idle", "45 restarted"])
async def test_44_45_a_connection_that_ended_between_two_messages_costs_no_attempt(
    scene: Scene, is_restarted: bool
) -> None:
    """It is noticed before a word of the next message is said, which goes over a new one."""
    async with scene.at_work():
        for person in PEOPLE[:3]:
            campaign = await scene.submit([person])
            await scene.finished(campaign)
            found = await scene.books(campaign)
            assert (found[person].state, found[person].attempts) == (State.SENT, 1)
            await (scene.restart() if is_restarted else scene.hang_up())
    assert scene.seen(Step.CONNECT) == 3


@pytest.mark.parametrize("step", [Step.MAIL, Step.RCPT, Step.DATA])
async def test_46_a_421_in_the_envelope_closes_the_connection_and_harms_no_message(scene: Scene, step: Step) -> None:
    """The same message goes over another connection after a pause, and the next ones as ever."""
    scene.answers(step, b"421 4.3.2 closing\r\n", to=PEOPLE[0] if step is not Step.MAIL else "")
    campaign = await scene.submit(PEOPLE)
    await scene.worked_off(campaign)
    assert states(await scene.books(campaign)) == [State.SENT] * len(PEOPLE)
    assert scene.seen(Step.CONNECT) == 2
    assert scene.given == dict.fromkeys(PEOPLE, 1)


@pytest.mark.parametrize(
    ("reply", "connections"),
    [
        pytest.param(b"421 4.3.2 closing\r\n", 2, id="47"),
        pytest.param(b"451 4.3.0 not now\r\n", 1, id="63"),
        pytest.param(b"454 4.7.0 Throttling failure: Maximum sending rate exceeded.\r\n", 1, id="72 SES at the dot"),
    ],
)
async def test_47_63_72_a_4xx_to_the_dot_is_a_definite_no_and_tried_again(
    scene: Scene, reply: bytes, connections: int
) -> None:
    """Deferred and not in doubt; a 421 costs the connection, another 4xx does not."""
    scene.answers(Step.DOT, reply, to=PEOPLE[0])
    campaign = await scene.submit(PEOPLE[:2])
    await scene.worked_off(campaign)
    assert states(await scene.books(campaign)) == [State.SENT, State.SENT]
    (entry, _) = await scene.entries(campaign)
    assert [(event.letter, event.code) for event in entry.events] == [("d", int(reply[:3])), ("S", 250)]
    assert len({moment.session for moment in scene.steps if moment.step is Step.MAIL}) == connections


@pytest.mark.parametrize("step", [Step.CONNECT, Step.STARTTLS, Step.AUTH, Step.MAIL, Step.RCPT, Step.DATA])
@pytest.mark.parametrize("reset", [True, False], ids=["RST", "FIN"])
async def test_48_66_a_connection_lost_before_the_body_is_replaced(scene: Scene, step: Step, reset: bool) -> None:
    """Also in the handshake: nobody is in doubt, and everybody gets one."""

    async def cut(moment: Moment) -> bytes | None:
        if (moment.step, moment.count) == (step, 1):
            raise CutError(reset=reset)
        return None

    scene.on_step = cut
    campaign = await scene.submit(PEOPLE[:2])
    await scene.worked_off(campaign)
    assert states(await scene.books(campaign)) == [State.SENT, State.SENT]


@pytest.mark.parametrize("step", [Step.BODY, Step.DOT, Step.FSYNCED])
@pytest.mark.parametrize("reset", [True, False], ids=["RST", "FIN"])
async def test_48_49_a_connection_lost_after_the_body_began_is_in_doubt(scene: Scene, step: Step, reset: bool) -> None:
    """Whether the relay has it or not: it is not sent again, and the others are."""

    async def cut(moment: Moment) -> bytes | None:
        if (moment.step, moment.count) == (step, 1):
            raise CutError(reset=reset)
        return None

    scene.on_step = cut
    campaign = await scene.submit(PEOPLE[:3])
    await scene.worked_off(campaign)
    assert states(await scene.books(campaign)) == [State.IN_DOUBT, State.SENT, State.SENT]
    assert scene.given[PEOPLE[0]] == (step is Step.FSYNCED)


async def test_50_a_black_hole_ends_with_the_time_limit_of_its_phase(scene: Scene) -> None:
    """No FIN, no RST, no byte: after the dot that is in doubt, and nothing hangs for longer than it may."""
    async with Proxy(scene.sink.port, only=1) as proxy:

        async def swallow(moment: Moment) -> bytes | None:
            if (moment.step, moment.count) == (Step.DOT, 2):
                proxy.down.cut_after = 0
                proxy.down.edit = lambda _: b""
            return None

        scene.on_step = swallow
        campaign = await scene.submit(PEOPLE[:3], port=proxy.listens_on, reply_timeout=0.4, command_timeout=0.4)
        await scene.worked_off(campaign)
        assert states(await scene.books(campaign)) == [State.SENT, State.IN_DOUBT, State.SENT]
        assert len(proxy.connections) == 2


async def test_50_a_relay_that_is_stopped_before_the_body_burns_nobody(scene: Scene) -> None:
    """The reply to RCPT never comes on the first connection."""
    async with Proxy(scene.sink.port, down=Harm(cut_after=5000, end=End.SILENCE), only=1) as proxy:
        campaign = await scene.submit(PEOPLE[:3], port=proxy.listens_on, reply_timeout=0.4, command_timeout=0.4)

        async def silence(moment: Moment) -> bytes | None:
            if (moment.step, moment.count) == (Step.RCPT, 1):
                proxy.down.edit = lambda _: b""
            return None

        scene.on_step = silence
        await scene.worked_off(campaign)
        assert states(await scene.books(campaign)) == [State.SENT] * 3


@pytest.mark.parametrize(
    ("takes_s", "state"), [pytest.param(0.3, State.SENT, id="51"), pytest.param(None, State.IN_DOUBT, id="52")]
)
async def test_51_52_the_reply_to_the_dot_may_come_as_late_as_its_time_limit(
    scene: Scene, takes_s: float | None, state: State
) -> None:
    """Before that it is sent, after that in doubt: it may have been accepted, and is not sent again."""

    async def late(moment: Moment) -> bytes | None:
        if (moment.step, moment.count) == (Step.FSYNCED, 1):
            await (asyncio.sleep(takes_s) if takes_s is not None else asyncio.Event().wait())
        return None

    scene.on_step = late
    campaign = await scene.submit(PEOPLE[:2], command_timeout=0.2, reply_timeout=0.8 if takes_s is not None else 0.3)
    await scene.worked_off(campaign)
    found = await scene.books(campaign)
    assert states(found) == [state, State.SENT]
    assert scene.given == dict.fromkeys(PEOPLE[:2], 1)
    if state is State.IN_DOUBT:
        assert (found[PEOPLE[0]].phase, found[PEOPLE[0]].reason) == ("dot", "interrupted")


def test_51_the_time_limits_are_those_of_the_standard() -> None:
    """RFC 5321 section 4.5.3.2: ten minutes for the reply to the dot, five for the others."""
    settings = SmtpSettings()
    assert (settings.command_timeout, settings.reply_timeout) == (300, 600)


async def test_53_a_tarpit_slows_down_and_fails_nobody(scene: Scene) -> None:
    """A pause before the greeting and at every recipient."""

    async def slow(moment: Moment) -> bytes | None:
        if moment.step in (Step.CONNECT, Step.RCPT):
            await asyncio.sleep(0.05)
        return None

    scene.on_step = slow
    campaign = await scene.submit(PEOPLE)
    await scene.worked_off(campaign)
    found = await scene.books(campaign)
    assert states(found) == [State.SENT] * len(PEOPLE)
    assert min(record.smtp_ms or 0 for record in found.values()) >= 50


async def test_75_a_relay_that_is_away_for_longer_than_a_message_may_wait_fails_it_with_the_reason(
    scene: Scene,
) -> None:
    """Time-scaled: days are tenths of a second here."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        campaign = await scene.submit(
            PEOPLE[:2], port=place.getsockname()[1], delivery=DeliverySettings(retry_delays=SOON, max_age=0.5)
        )
        await scene.worked_off(campaign)
    found = await scene.books(campaign)
    assert {(record.state, record.reason) for record in found.values()} == {(State.FAILED, "expired")}
    assert {(record.text or "")[:4] for record in found.values()} == {"E431"}


async def test_75_whoever_is_greylisted_for_longer_than_that_keeps_the_last_reply(scene: Scene) -> None:
    """Deferred until then, and then failed with what the relay said last."""
    scene.always_answers(Step.RCPT, b"450 4.2.0 greylisted, come again\r\n", to=PEOPLE[0])
    campaign = await scene.submit(PEOPLE[:2], delivery=DeliverySettings(retry_delays=SOON, max_age=0.3))
    await scene.worked_off(campaign)
    found = await scene.books(campaign)
    assert states(found) == [State.FAILED, State.SENT]
    expired = found[PEOPLE[0]]
    assert (expired.reason, expired.code, expired.words) == ("expired", 450, "4.2.0 greylisted, come again")


async def test_76_after_an_outage_a_crowd_comes_back_over_as_few_connections_as_ever(scene: Scene) -> None:
    """One tries the relay first; then there are never more connections than the route allows."""
    people = [f"p{number}@x.test" for number in range(120)]
    most = 0

    async def count(moment: Moment) -> bytes | None:
        nonlocal most
        most = max(most, len(scene.sink._tasks))
        return None

    scene.always_answers(Step.CONNECT, b"421 4.3.2 not yet\r\n")
    campaign = await scene.submit(people, chunk=20, max_connections=4)
    async with scene.at_work():
        await scene.holds(campaign, lambda status: status.next_due_ms is not None)
        refused = scene.seen(Step.CONNECT)
        scene.sink.sticky.clear()
        scene.on_step = count
        await until(lambda: _hurried(scene, campaign))
    assert set(states(await scene.books(campaign))) == {State.SENT}
    assert most <= 4
    assert scene.seen(Step.CONNECT) - refused <= 4 + len(people) // 100
    assert refused <= 5


async def _hurried(scene: Scene, campaign: Campaign) -> bool:
    """Finished; until then every rest is cut short."""
    await scene.hurry(campaign)
    return (await scene.status(campaign)).state is CampaignState.FINISHED
