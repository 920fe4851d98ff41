"""Pace: what a message is counted with, so that no relay and no domain behind it gets more than was agreed.

Places are spaced evenly (GCRA, the leaky bucket as a meter). An idle time earns no credit: below 10 messages a second
there is no burst at all, above it one of 100 ms worth, because sleepers are not woken to the microsecond. So any
stretch of `t` seconds sees at most `rate * (t + 0.1)` messages, and one. Of several rates the slowest decides, for
whoever keeps 300 a minute in this way keeps 10 a second too.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from mailer.policy.addressing import AddressError, parse_address
from mailer.vocabulary.quantity import Rate
from mailer.vocabulary.route import Route
from mailer.vocabulary.settings import DeliverySettings

BURST_US = 100_000
"""The longest burst, as time: so many microseconds' worth of messages may begin at once."""
_MICRO = 1_000_000

Counted = tuple[str, Rate]
"""The name of a bucket, and how much of it there may be."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What the messages of a campaign over one relay are counted with. Domains are in lower-case A-labels."""

    line: str
    rate: Rate | None
    domain_rates: Mapping[str, Rate]

    @property
    def interval_s(self) -> float:
        """Seconds between two messages to the relay; 0.0 where only domains are limited."""
        return interval_us(self.rate) / _MICRO if self.rate is not None else 0.0

    def of_relay(self) -> list[Counted]:
        """What every message is counted with: the line of the relay, whichever campaign it belongs to."""
        return [(self.line, self.rate)] if self.rate is not None else []

    def of_domains(self, emails: Iterable[str]) -> list[Counted]:
        """What a message to these addresses is counted with besides: once for each limited domain among them."""
        if not self.domain_rates:
            return []
        domains = dict.fromkeys(email.rpartition("@")[2].lower() for email in emails)
        return [
            (f"{self.line} {domain}", self.domain_rates[domain]) for domain in domains if domain in self.domain_rates
        ]


def pace_of(line: str, delivery: DeliverySettings) -> Pace | None:
    """The pace of a campaign over the relay that `line` names (see `line_of`); None when it knows no limits."""
    if not delivery.rate and not delivery.domain_rate:
        return None
    slowest = max(delivery.rate, key=interval_us, default=None)
    return Pace(line, slowest, {_a_labels(domain): rate for domain, rate in delivery.domain_rate.items()})


def line_of(route: Route) -> str:
    """The name of what all campaigns over a relay share: host and port, and the login, which has limits of its own."""
    relay = route.relay.lower()
    return relay if route.user is None else f"{route.user}@{relay}"


@lru_cache(maxsize=256)
def interval_us(rate: Rate) -> int:
    """Microseconds between two messages, rounded so that they are never too many."""
    return max(1, math.ceil(Fraction(rate.seconds) * _MICRO / Fraction(rate.messages)))


def slack_us(rate: Rate) -> int:
    """Microseconds that a message may come before its even place: none at 10/s and below, nearly 100 ms far above."""
    return max(0, BURST_US - interval_us(rate))


def _a_labels(domain: str) -> str:
    """A domain as recipients have it. One that cannot be a recipient's is left alone: it will never be met."""
    try:
        return parse_address(f"x@{domain}").domain
    except AddressError:
        return domain.lower()
