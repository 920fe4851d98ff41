"""The same faults at other people's servers: smtp-sink and Postfix itself; skipped where they are missing."""

import asyncio
import os
import shutil
import socket
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mailer.vocabulary.campaign import Campaign, CampaignState
from mailer.vocabulary.recipient import State
from mailer.vocabulary.settings import DeliverySettings
from tests.ledger.campaigns import records
from tests.relays import postfix
from tests.relays.postfix import Postfix
from tests.reliability.scene import SOON, Scene
from tests.servers import until

PEOPLE = [f"p{number}@x.test" for number in range(4)]
SINK = shutil.which("smtp-sink", path="/usr/sbin:/usr/bin")
needs_sink = pytest.mark.skipif(SINK is None, reason="Postfix's smtp-sink is not installed")
needs_postfix = pytest.mark.skipif(postfix.reason_to_skip() is not None, reason=str(postfix.reason_to_skip()))


@asynccontextmanager
async def smtp_sink(*flags: str) -> AsyncIterator[int]:
    """smtp-sink on loopback with these flags; its port."""
    assert SINK is not None
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    user = ("-u", "nobody") if os.geteuid() == 0 else ()
    process = await asyncio.create_subprocess_exec(SINK, *user, *flags, f"127.0.0.1:{port}", "100")
    try:
        deadline = time.monotonic() + 5
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                assert time.monotonic() < deadline, "smtp-sink does not start"
                await asyncio.sleep(0.01)
            else:
                writer.close()
                break
        yield port
    finally:
        process.kill()
        await process.wait()


@needs_sink
@pytest.mark.parametrize(
    ("flags", "state"),
    [
        pytest.param(("-q", "."), State.IN_DOUBT, id="07 hangs up after the dot"),
        pytest.param(("-W", ".:1"), State.SENT, id="51 answers the dot late"),
        pytest.param(("-W", ".:5"), State.IN_DOUBT, id="52 answers the dot too late"),
        pytest.param(("-p", "-W", "RCPT:1"), State.SENT, id="53 tarpit"),
        pytest.param(("-f", "RCPT"), State.REFUSED, id="57 refuses the recipient"),
        pytest.param(("-r", "."), State.FAILED, id="63 4xx at the dot"),
        pytest.param(("-Q", "."), State.FAILED, id="47 421 at the dot"),
        pytest.param(("-A", "0"), State.REFUSED, id="62 550 amid the body"),
    ],
)
async def test_each_end_of_a_message_at_smtp_sink_is_the_right_state(
    scene: Scene, flags: tuple[str, ...], state: State
) -> None:
    """A 4xx is tried again once here, and has then expired."""
    async with smtp_sink(*flags) as port:
        campaign = await scene.submit(
            PEOPLE[:1],
            url=f"smtp+insecure://127.0.0.1:{port}",
            reply_timeout=2.0 if state is State.SENT else 0.5,
            delivery=DeliverySettings(retry_delays=SOON, max_attempts=2),
        )
        await scene.worked_off(campaign)
    (record,) = [record async for record in scene.ledgers.reading.records(campaign)]
    assert record.state is state


@needs_sink
@pytest.mark.parametrize(
    "flags", [("-f", "CONNECT"), ("-Q", "CONNECT"), ("-Q", "EHLO"), ("-Q", "MAIL"), ("-r", "MAIL")], ids=" ".join
)
async def test_42_43_46_what_smtp_sink_has_against_the_route_burns_nobody(scene: Scene, flags: tuple[str, ...]) -> None:
    """They wait."""
    async with smtp_sink(*flags) as port:
        campaign = await scene.submit(PEOPLE, url=f"smtp+insecure://127.0.0.1:{port}")
        async with scene.at_work():
            await scene.holds(campaign, lambda status: status.next_due_ms is not None)
    status = await scene.status(campaign)
    assert (status.state, status.totals.queued) == (CampaignState.RUNNING, len(PEOPLE))
    assert {record.attempts async for record in scene.ledgers.reading.records(campaign)} == {0}


@needs_sink
async def test_64_a_sender_that_smtp_sink_refuses_pauses_the_campaign(scene: Scene) -> None:
    """Nobody is burned."""
    async with smtp_sink("-f", "MAIL") as port:
        campaign = await scene.submit(PEOPLE, url=f"smtp+insecure://127.0.0.1:{port}")
        async with scene.at_work():
            await scene.holds(campaign, lambda status: status.state is CampaignState.PAUSED)
    assert (await scene.status(campaign)).totals.queued == len(PEOPLE)


@pytest.fixture(scope="module")
def running_postfix() -> Iterator[Postfix]:
    if (reason := postfix.reason_to_skip()) is not None:
        pytest.skip(reason)
    with Postfix(smtpd_recipient_limit="4", smtpd_timeout="1s") as relay:
        yield relay


async def submitted(scene: Scene, relay: Postfix, people: Sequence[str], **changes: Any) -> Campaign:
    way = relay.route()
    url = f"smtp+starttls://127.0.0.1:{way.port}"
    return await scene.submit(people, url=url, ca_pem=way.ca_pem, **changes)


def restart(relay: Postfix) -> None:
    for command in ("stop", "start"):
        relay._postfix(command)


async def ends(scene: Scene, campaign: Campaign) -> set[tuple[State, int]]:
    """States and attempts."""
    return {(record.state, record.attempts) for record in await records(scene.ledgers, campaign)}


async def test_44_45_postfix_may_hang_up_on_who_is_idle_and_be_started_again(
    scene: Scene, running_postfix: Postfix
) -> None:
    """The next message takes another connection, and no attempt is lost."""
    async with scene.at_work():
        for step in range(3):
            campaign = await submitted(scene, running_postfix, PEOPLE)
            await scene.finished(campaign)
            assert await ends(scene, campaign) == {(State.SENT, 1)}
            if step == 0:
                await until(lambda: "timeout after" in running_postfix.log)
            elif step == 1:
                await asyncio.to_thread(restart, running_postfix)


async def test_59_too_many_recipients_for_postfix_are_split_at_once(scene: Scene, running_postfix: Postfix) -> None:
    """Nine recipients of one message, where a transaction may have four: three transactions, and nobody fails."""
    campaign = await submitted(scene, running_postfix, [f"p{number}@x.test" for number in range(9)], copies=True)
    await scene.worked_off(campaign)
    assert await ends(scene, campaign) == {(State.SENT, 1)}
    taken = [line for line in running_postfix.log.splitlines() if "from=<news@acme.test>" in line and "nrcpt=" in line]
    assert sorted(int(line.partition("nrcpt=")[2].split()[0]) for line in taken[-3:]) == [1, 4, 4]


async def test_60_a_message_larger_than_postfix_takes_has_failed(scene: Scene, running_postfix: Postfix) -> None:
    """Its EHLO says how much it takes; the message is not begun."""
    campaign = await submitted(scene, running_postfix, PEOPLE, body=b"more and more\r\n" * 8000)
    await scene.worked_off(campaign)
    assert {(record.state, record.reason) for record in await records(scene.ledgers, campaign)} == {
        (State.FAILED, "too_big")
    }


@needs_postfix
async def test_61_a_postfix_without_room_rests_the_route_and_burns_nobody(scene: Scene) -> None:
    """452 4.3.1 to MAIL."""
    with Postfix(queue_minfree=str(2**50)) as relay:
        campaign = await submitted(scene, relay, PEOPLE)
        async with scene.at_work():
            await scene.holds(campaign, lambda status: status.next_due_ms is not None)
        assert "452" in relay.log or "Insufficient system storage" in relay.log
    assert await ends(scene, campaign) == {(State.QUEUED, 0)}
    assert (await scene.status(campaign)).state is CampaignState.RUNNING
