"""Faults 43, 72 and 76: a relay that has too much of us is given less at once, and more again when it can bear it."""

from dataclasses import dataclass, field
from statistics import median

import pytest

from mailer.flow.run import Route
from mailer.vocabulary.campaign import Campaign, CampaignState
from mailer.vocabulary.recipient import State
from mailer.vocabulary.settings import DeliverySettings
from tests.faults.steps import Moment, Step
from tests.reliability import throttling
from tests.reliability.scene import SOON, Scene, states
from tests.servers import until

CONNECTIONS, BEARS = 6, 3


@dataclass
class Crowded:
    """A relay that says so, at one step, while more than `bears` connections are open.

    `open` is how many are, at each message that it took.
    """

    scene: Scene
    step: Step
    reply: bytes
    bears: int
    open: list[int] = field(default_factory=list)
    refused: int = 0

    async def hook(self, moment: Moment) -> bytes | None:
        now = len(self.scene.sink._tasks)
        if moment.step is Step.REPLIED:
            self.open.append(now)
        if moment.step is self.step and now > self.bears:
            self.refused += 1
            return self.reply
        return None


async def hurried(scene: Scene, campaign: Campaign) -> bool:
    """Finished; until then every rest is cut short."""
    due = scene.ledgers.keys.base(campaign.id) + "due"
    for chunk in await scene.ledgers.redis.zrange(due, 0, -1):
        # Only where it still rests: what has gone on meanwhile is nobody's to put back.
        await scene.ledgers.redis.eval("redis.call('ZADD', KEYS[1], 'XX', 1, ARGV[1])", 1, due, chunk)
    return (await scene.status(campaign)).state is CampaignState.FINISHED


@pytest.mark.parametrize(
    ("step", "reply"),
    [
        pytest.param(Step.CONNECT, b"421 4.7.0 too many connections\r\n", id="43 greeting 421"),
        pytest.param(Step.MAIL, b"421 4.7.0 too many connections\r\n", id="72 MAIL 421"),
        pytest.param(Step.MAIL, throttling.AMAZON_SES, id="72 SES"),
        pytest.param(Step.MAIL, throttling.EXCHANGE_ONLINE, id="72 Exchange Online"),
        pytest.param(Step.RCPT, throttling.GMAIL, id="72 Gmail"),
    ],
)
async def test_43_72_connections_become_fewer_when_the_relay_asks_for_it_and_more_when_it_may(
    scene: Scene, step: Step, reply: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It bears three of the six; later it bears all. Nobody is lost, and no attempt was counted for it."""
    monkeypatch.setattr(Route, "rest", lambda *_: None)
    relay = Crowded(scene, step, reply, bears=BEARS)

    async def hook(moment: Moment) -> bytes | None:
        if scene.seen(Step.REPLIED) > 120:
            relay.bears = CONNECTIONS
        return await relay.hook(moment)

    scene.on_step = hook
    campaign = await scene.submit(
        [f"p{number}@x.test" for number in range(240)],
        chunk=40,
        max_connections=CONNECTIONS,
        delivery=DeliverySettings(retry_delays=SOON),
    )
    async with scene.at_work():
        await until(lambda: hurried(scene, campaign), within=30)
    found = await scene.books(campaign)
    assert set(states(found)) == {State.SENT}
    assert {record.attempts for record in found.values()} == {1}
    before, after = relay.open[:120], relay.open[120:]
    # One more is tried now and then, and one that was refused may still be saying goodbye.
    assert max(before[20:]) <= BEARS + 2
    assert median(before[20:]) <= BEARS
    assert max(after) == CONNECTIONS
    assert relay.refused <= 30


async def test_72_a_mailbox_that_gets_too_much_is_no_reason_to_use_fewer_connections(scene: Scene) -> None:
    """450 4.2.1 is said of one recipient; the others need not wait for him."""
    people = [f"p{number}@x.test" for number in range(60)]
    scene.answers(Step.RCPT, b"450 4.2.1 receiving mail at a rate that prevents delivery\r\n", to=people[5])
    relay = Crowded(scene, Step.MAIL, b"", bears=CONNECTIONS)
    scene.on_step = relay.hook
    delivery = DeliverySettings(retry_delays=SOON)
    campaign = await scene.submit(people, max_connections=CONNECTIONS, delivery=delivery)
    await scene.worked_off(campaign)
    assert set(states(await scene.books(campaign))) == {State.SENT}
    assert max(relay.open) == CONNECTIONS
    assert scene.seen(Step.CONNECT) == CONNECTIONS


async def test_76_after_an_outage_each_further_connection_stands_for_messages_that_were_taken(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One, then two, four and eight, however many wait: never all of them at once upon a relay that just came back."""
    monkeypatch.setattr("mailer.policy.breaker.SHORTEST", 0.1)
    people = [f"p{number}@x.test" for number in range(90)]
    taken: list[int] = []

    async def note(moment: Moment) -> bytes | None:
        if moment.step is Step.CONNECT:
            taken.append(scene.seen(Step.REPLIED))
        return None

    scene.always_answers(Step.CONNECT, b"421 4.3.2 not yet\r\n")
    campaign = await scene.submit(people, chunk=15, max_connections=8)
    async with scene.at_work():
        await scene.holds(campaign, lambda status: status.next_due_ms is not None)
        scene.sink.sticky.clear()
        scene.on_step = note
        await until(lambda: hurried(scene, campaign), within=20)
    assert set(states(await scene.books(campaign))) == {State.SENT}
    least = [0, 1, 3, 3, 7, 7, 7, 7]
    assert len(taken) <= len(least)
    assert [(n, before) for n, before in enumerate(taken) if before < least[n]] == []
