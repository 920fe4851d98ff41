"""Acts of an operator while real workers send: effective at once, and the ledger says what the mail server saw."""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from mailer.backends.redis.ledgers import Ledgers
from mailer.capture.server import CaptureServer
from mailer.vocabulary.campaign import Campaign, CampaignState
from tests.operator.console import Console
from tests.operator.recount import is_live, sound
from tests.servers import until

PEOPLE = 40


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncIterator[CaptureServer]:
    async with CaptureServer(tmp_path / "capture", port=0) as server:
        yield server


async def accepted(console: Console, relay: CaptureServer, local_part: str) -> Campaign:
    """A campaign to addresses that the mail server treats in this way."""
    folder = console.folder
    (folder / "templates/hello").mkdir(parents=True)
    (folder / "templates/hello/subject.txt.j2").write_text("Hello")
    (folder / "templates/hello/body.txt.j2").write_text("Hello {{ email }}\n")
    people = "".join(f"{local_part}-{number}@x.test\n" for number in range(PEOPLE))
    (folder / "people.csv").write_text(f"email\n{people}")
    (folder / "mailer.toml").write_text(
        '[campaign]\nname = "hello"\ntemplate = "hello"\nsender = "news@acme.test"\nrecipients = "people.csv"\n'
        f'[smtp]\nurl = "{relay.url}"\nca_file = "{relay.ca_file}"\n'
    )
    said = await console.run("send", "--yes", "--detach", "--json")
    return (await console.ledgers.campaigns.status(said.document["campaign_id"])).campaign


def counted(ledgers: Ledgers, campaign: Campaign, state: str, least: int) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return bool(getattr((await ledgers.reading.status(campaign.id)).totals, state) >= least)

    return holds


@pytest.mark.thorough
async def test_a_cancel_stops_a_working_fleet_and_nobody_more_gets_a_message(
    ledgers: Ledgers, console: Console, relay: CaptureServer
) -> None:
    campaign = await accepted(console, relay, "slow+1s")
    worker = console.start("worker")
    try:
        await until(counted(ledgers, campaign, "sent", 1), within=20)
        await console.run("cancel", campaign.id, "--reason", "wrong price")
        handed_over = (await ledgers.reading.status(campaign.id)).totals

        async def over() -> bool:
            return not await is_live(ledgers, campaign)

        await until(over, within=20)
    finally:
        worker.signal(signal.SIGTERM)
        await console.end(worker)
    status = await sound(ledgers, campaign)
    totals = status.totals
    assert (totals.open, totals.sent + totals.cancelled) == (0, PEOPLE)
    # Only what was in a body, or about to be, could still finish.
    assert totals.sent <= handed_over.sent + handed_over.claimed + handed_over.sending
    assert totals.cancelled > 0
    assert relay.mailbox.accepted == totals.sent


@pytest.mark.thorough
async def test_who_is_retried_is_sent_to_again_and_the_campaign_ends_again(
    ledgers: Ledgers, console: Console, relay: CaptureServer
) -> None:
    campaign = await accepted(console, relay, "full+552")
    await console.run("worker", "--burst")
    assert (await sound(ledgers, campaign)).totals.refused == PEOPLE
    await console.run("retry", campaign.id, "--code", "552", "--limit", "7", "--yes")
    await console.run("worker", "--burst")
    status = await sound(ledgers, campaign)
    assert (status.state, status.totals.refused) == (CampaignState.FINISHED, PEOPLE)
    tried = [record.attempts async for record in ledgers.reading.records(campaign)]
    assert sorted(tried) == [1] * (PEOPLE - 7) + [2] * 7
