"""A worker is killed between the mark and the body: what a campaign with `on_doubt = "resend"` makes of it."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from mailer.backends.redis.chunk_parts import read_parts
from mailer.backends.redis.ledgers import Ledgers
from mailer.config.orders import write_orders
from mailer.vocabulary.campaign import CampaignState
from mailer.vocabulary.chunk import Draft
from mailer.vocabulary.settings import DeliverySettings, SmtpSettings
from tests.ledger.campaigns import drafts, message, records, running
from tests.operator.recount import sound
from tests.worker.relays import capture, orders, taken_twice

KILLED = -signal.SIGKILL


async def work(ledgers: Ledgers, failpoints: str = "") -> int:
    """A worker process, until nothing is left to do or a failpoint kills it. Returns its exit status."""
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mailer.worker"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        env={**os.environ, "MAILER_FAILPOINTS": failpoints},
    )
    assert worker.stdin is not None
    worker.stdin.write(write_orders(orders(ledgers, burst=True)))
    async with asyncio.timeout(30):
        return await worker.wait()


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("failpoint", "arrived"),
    [("after_mark", 1), ("reply_read", 2)],
    ids=["before the body", "after the reply"],
)
async def test_who_was_on_the_wire_is_sent_to_once_more_and_the_record_says_so(
    ledgers: Ledgers, tmp_path: Path, failpoint: str, arrived: int
) -> None:
    """Nobody can tell the two apart; the Message-ID is the same, so that a receiver can tell."""
    async with capture(tmp_path) as relay:
        smtp = SmtpSettings(url=relay.url, max_connections=1, local_hostname="client.test")
        campaign = await running(
            ledgers,
            drafts([1, 2, 3]),
            smtp=smtp,
            ca_pem=relay.ca_file.read_text(),
            delivery=DeliverySettings(on_doubt="resend"),
        )
        assert await work(ledgers, failpoint) == KILLED
        assert await work(ledgers) == 0
        assert sum(relay.mailbox.accepted_for.values()) == 2 + arrived
        assert sorted(taken_twice(relay).values()) == ([2] if arrived == 2 else [])
    status = await sound(ledgers, campaign)
    assert (status.state, status.totals.sent) == (CampaignState.FINISHED, 3)
    (parts,) = await read_parts(ledgers.redis, ledgers.keys.base(campaign.id), [0])
    histories = sorted([event.reason for event in entry.events if event.letter in "Iq"] for entry in parts.packed)
    # The other two had no mark yet, or were not even claimed.
    assert histories.count(["worker_died", "resent"]) == 1
    assert not any("resent" in reasons for reasons in histories if reasons != ["worker_died", "resent"])


@pytest.mark.thorough
async def test_by_default_nobody_is_sent_to_again(ledgers: Ledgers, tmp_path: Path) -> None:
    async with capture(tmp_path) as relay:
        smtp = SmtpSettings(url=relay.url, max_connections=1, local_hostname="client.test")
        campaign = await running(ledgers, drafts([1]), smtp=smtp, ca_pem=relay.ca_file.read_text())
        assert await work(ledgers, "after_mark") == KILLED
        assert await work(ledgers) == 0
        assert relay.mailbox.accepted == 0
    assert [record.state for record in await records(ledgers, campaign)] == ["in_doubt"]


@pytest.mark.thorough
async def test_a_message_that_kills_every_worker_is_sent_again_twice_and_then_left_in_doubt(
    ledgers: Ledgers, tmp_path: Path
) -> None:
    async with capture(tmp_path) as relay:
        smtp = SmtpSettings(url=relay.url, max_connections=1, local_hostname="client.test")
        campaign = await running(
            ledgers,
            drafts([1]),
            smtp=smtp,
            ca_pem=relay.ca_file.read_text(),
            delivery=DeliverySettings(on_doubt="resend"),
        )
        assert [await work(ledgers, "reply_read") for _ in range(3)] == [KILLED] * 3
        assert await work(ledgers) == 0
        assert relay.mailbox.accepted == 3
    assert [record.state for record in await records(ledgers, campaign)] == ["in_doubt"]
    await sound(ledgers, campaign)


@pytest.mark.thorough
async def test_a_relay_that_takes_it_and_never_answers_gets_it_three_times(ledgers: Ledgers, tmp_path: Path) -> None:
    async with capture(tmp_path) as relay:
        campaign = await running(
            ledgers,
            [Draft(row=1, email="drop@x.test", content=message(1)), *drafts([2])],
            smtp=SmtpSettings(url=relay.url, max_connections=1, local_hostname="client.test"),
            ca_pem=relay.ca_file.read_text(),
            delivery=DeliverySettings(on_doubt="resend"),
        )
        assert await work(ledgers) == 0
        assert relay.mailbox.dropped_for == {"drop@x.test": 3}
    assert [record.state for record in await records(ledgers, campaign)] == ["in_doubt", "sent"]
    await sound(ledgers, campaign)
