"""A rate holds over all worker processes together."""

import time

import pytest

from mailer.backends.redis.ledgers import Ledgers
from mailer.vocabulary.campaign import CampaignState
from mailer.vocabulary.chunk import Draft
from mailer.vocabulary.quantity import parse_rate
from mailer.vocabulary.settings import DeliverySettings, SmtpSettings
from mailer.worker.supervisor import Supervisor
from tests.ledger.campaigns import checked, running
from tests.pace.model import busiest
from tests.pace.test_pacing import people
from tests.relays.scripted import Event, ScriptedRelay
from tests.worker.relays import orders


class Clocked(ScriptedRelay):
    """Remembers when the message to each recipient arrived."""

    def __init__(self) -> None:
        super().__init__()
        self.arrivals: list[tuple[float, str]] = []

    def _note(self, event: Event) -> None:
        if event.verb == "RCPT":
            self.arrivals.append((time.monotonic(), event.argument))
        super()._note(event)


async def send_by_two(ledgers: Ledgers, drafts: list[Draft], delivery: DeliverySettings) -> list[tuple[float, str]]:
    """When and to whom the messages of a campaign arrived that two processes have sent."""
    async with Clocked() as relay:
        campaign = await running(
            ledgers,
            *(drafts[start : start + 10] for start in range(0, len(drafts), 10)),
            smtp=SmtpSettings(
                url=f"smtp+starttls://127.0.0.1:{relay.port}", max_connections=3, local_hostname="client.test"
            ),
            ca_pem=relay.certificates.ca_pem,
            delivery=delivery,
        )
        await Supervisor(orders(ledgers, burst=True), 2).run()
        status = await checked(ledgers, campaign)
    assert (status.state, status.totals.sent) == (CampaignState.FINISHED, len(drafts))
    assert len(relay.arrivals) == len(drafts)
    return relay.arrivals


@pytest.mark.thorough
async def test_two_processes_together_keep_the_rate_of_relay_and_domain(ledgers: Ledgers) -> None:
    limits = DeliverySettings(rate=(parse_rate("20/s"),), domain_rate={"slow.test": parse_rate("8/s")})
    met = await send_by_two(ledgers, people("x.test", "slow.test", "y.test", count=20), limits)
    arrivals = [at for at, _ in met]
    slow = [at for at, recipient in met if "@slow.test" in recipient]
    assert len(slow) == 20
    # The burst of two, and each process may be woken a little late.
    assert busiest(arrivals, 1.0) <= 20 + 2 + 4
    assert busiest(slow, 1.0) <= 8 + 1 + 3
    # And it is used: 60 messages at 20/s are three seconds.
    assert 2.8 < max(arrivals) - min(arrivals) < 9


@pytest.mark.thorough
async def test_two_processes_together_keep_a_quota_and_use_it_at_full_speed(ledgers: Ledgers) -> None:
    limits = DeliverySettings(rate=(parse_rate("12/s"), parse_rate("60/s")))
    arrivals = [at for at, _ in await send_by_two(ledgers, people("x.test", count=48), limits)]
    # Each process may be woken a little late.
    assert busiest(arrivals, 1.0) <= 12 + 3
    # Not spaced evenly: that would be four in this time.
    assert busiest(arrivals, 0.35) >= 7
    # Three times a second and the tenth that a message may be late have passed before the last twelve begin.
    assert 3.1 < max(arrivals) - min(arrivals) < 9
