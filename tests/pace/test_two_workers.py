"""A rate holds over all worker processes together."""

import time

from mailer.backends.redis.ledgers import Ledgers
from mailer.vocabulary.campaign import CampaignState
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


async def test_two_processes_together_keep_the_rate_of_relay_and_domain(ledgers: Ledgers) -> None:
    async with Clocked() as relay:
        drafts = people("x.test", "slow.test", "y.test", count=20)
        campaign = await running(
            ledgers,
            *(drafts[start : start + 10] for start in range(0, 60, 10)),
            smtp=SmtpSettings(
                url=f"smtp+starttls://127.0.0.1:{relay.port}", max_connections=3, local_hostname="client.test"
            ),
            ca_pem=relay.certificates.ca_pem,
            delivery=DeliverySettings(rate=(parse_rate("20/s"),), domain_rate={"slow.test": parse_rate("8/s")}),
        )
        await Supervisor(orders(ledgers, burst=True), 2).run()
        status = await checked(ledgers, campaign)
        arrivals = [at for at, _ in relay.arrivals]
        slow = [at for at, recipient in relay.arrivals if "@slow.test" in recipient]
    assert (status.state, status.totals.sent) == (CampaignState.FINISHED, 60)
    assert (len(arrivals), len(slow)) == (60, 20)
    # The burst of two, and each process may be woken a little late.
    assert busiest(arrivals, 1.0) <= 20 + 2 + 4
    assert busiest(slow, 1.0) <= 8 + 1 + 3
    # And it is used: 60 messages at 20/s are three seconds.
    assert 2.8 < max(arrivals) - min(arrivals) < 9
