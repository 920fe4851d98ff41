"""The state of a rate that the queue server has lost: what follows is as slow as at the beginning, never unlimited."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mailer.backends.redis.ledgers import open_ledgers
from mailer.capture.mailbox import Captured, Mailbox
from mailer.capture.server import CaptureServer
from mailer.vocabulary.chunk import Draft
from mailer.vocabulary.quantity import parse_rate
from mailer.vocabulary.settings import DeliverySettings, SmtpSettings
from tests.ledger.campaigns import message, running
from tests.operator.recount import sound
from tests.pace.model import busiest
from tests.redis_faults.servers import FaultyServer
from tests.redis_faults.workers import at_work, finished
from tests.servers import until
from tests.worker.relays import taken_twice

PEOPLE = 60
PER_SECOND = 30


def forget_the_rate(server: FaultyServer, begun: int) -> None:
    """Every key that counts messages is gone."""
    for pattern in ("t:pace:*", "t:quota:*"):
        assert server.say("EVAL", "return redis.call('UNLINK', unpack(redis.call('KEYS', ARGV[1])))", 0, pattern)


def roll_back(server: FaultyServer, begun: int) -> None:
    """It restarts with less than it had: everything since the workers began is gone."""
    server.restart(forgetting_from=begun)


@pytest.mark.parametrize("loss", [forget_the_rate, roll_back])
async def test_a_rate_whose_state_is_lost_is_kept_all_the_same(
    server: FaultyServer, tmp_path: Path, loss: Callable[[FaultyServer, int], None]
) -> None:
    arrivals: list[float] = []

    def note(_: Captured) -> None:
        arrivals.append(time.monotonic())

    async with (
        open_ledgers(server.url, prefix="t", lease_s=1) as ledgers,
        CaptureServer(tmp_path, port=0, mailbox=Mailbox(keep=0), on_message=note) as relay,
    ):
        drafts = [Draft(row=row, email=f"p{row}@x.test", content=message(row)) for row in range(PEOPLE)]
        campaign = await running(
            ledgers,
            *(drafts[start : start + 10] for start in range(0, PEOPLE, 10)),
            smtp=SmtpSettings(url=relay.url, max_connections=3, local_hostname="client.test"),
            ca_pem=relay.ca_file.read_text(),
            delivery=DeliverySettings(rate=(parse_rate(f"{PER_SECOND}/s"), parse_rate("600/min"))),
        )
        async with at_work(ledgers, 2):
            await until(lambda: len(arrivals) >= 10)
            begun = server.written
            await until(lambda: len(arrivals) >= 25)
            loss(server, begun)
            await until(lambda: finished(ledgers, campaign.id), within=20)
        assert (await sound(ledgers, campaign)).totals.sent == PEOPLE
    assert not taken_twice(relay)
    # The burst of a tenth of a second, once more after the loss, and workers that are woken a little late.
    assert busiest(arrivals, 1.0) <= PER_SECOND + 3 + 3 + 4
