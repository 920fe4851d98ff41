"""Pace: what a message is counted with, so that no relay and no domain behind it gets more than was agreed.

**One line for a relay and login**, shared by all campaigns that have a `rate`, whichever worker sends their messages;
a campaign without one is not counted. Behind it, every domain with a `domain_rate` has a line of its own.

**The fastest rate of a line spaces its messages** (GCRA, the leaky bucket as a meter): `10/s` is one each 100 ms. An
idle time earns no credit: below 10 messages a second there is no burst at all, above it one of 100 ms worth, because
sleepers are not woken to the microsecond. So any stretch of `t` seconds sees at most `rate * (t + 0.1)` messages, and
one. A rate that stands alone is the fastest: `20000/day` by itself is one message each 4.3 s.

**Every other rate of a line is a quota over a sliding window**: in no 24 hours, whenever they begin, are there more
than 20 000 messages, on the queue server's clock, and so many may go as fast as the spacing allows. So
`["10/s", "20000/day"]` is 10 a second for 33 minutes, and then as many as those of the day before make room for.
Places are counted in parts of a 60th of the window, and each part as a whole: what was full is free again after the
window, at most one part of it, and the time that a message may begin after its place. A place that was taken counts,
also when nothing came of it. A quota counts all messages of the line, those of campaigns without it too, from the
first one on of a campaign that has it.
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
"""The name of a line, and how much of it there may be. A line that has several rates is named once for each."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What the messages of a campaign over one relay are counted with. Domains are in lower-case A-labels."""

    line: str
    rates: tuple[Rate, ...]
    domain_rates: Mapping[str, Rate]

    @property
    def interval_s(self) -> float:
        """Seconds between two messages to the relay; 0.0 where only domains are limited."""
        return min(map(interval_us, self.rates), default=0) / _MICRO

    def of_relay(self) -> list[Counted]:
        """What every message is counted with: the line of the relay, whichever campaign it belongs to."""
        return [(self.line, rate) for rate in self.rates]

    def of_domains(self, emails: Iterable[str]) -> list[Counted]:
        """What a message to these addresses is counted with besides: once for each limited domain among them."""
        if not self.domain_rates:
            return []
        domains = dict.fromkeys(email.rpartition("@")[2].lower() for email in emails)
        return [
            (f"{self.line} {domain}", self.domain_rates[domain]) for domain in domains if domain in self.domain_rates
        ]


@dataclass(frozen=True, slots=True)
class Quota:
    """So many messages in any window of so many microseconds."""

    messages: int
    window_us: int


def pace_of(line: str, delivery: DeliverySettings) -> Pace | None:
    """The pace of a campaign over the relay that `line` names (see `line_of`); None when it knows no limits."""
    if not delivery.rate and not delivery.domain_rate:
        return None
    return Pace(line, delivery.rate, {_a_labels(domain): rate for domain, rate in delivery.domain_rate.items()})


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


def lateness_us(spacing: Rate) -> int:
    """Microseconds after its place at which a message may still begin; later, it would meet that of the next place."""
    return max(BURST_US, interval_us(spacing))


def shape(rates: Iterable[Rate]) -> tuple[Rate, list[Quota]]:
    """The rate that spaces the messages of a line (the fastest), and what all others allow. At least one is needed.

    The windows are wider by what a message may be late: its place and its begin need not lie in the same one.
    """
    spacing, *others = sorted(dict.fromkeys(rates), key=interval_us)
    return spacing, [quota_of(rate, lateness_us(spacing)) for rate in others]


def quota_of(rate: Rate, late_us: int = 0) -> Quota:
    """A rate as a quota. Parts of a message are none: `2.5/s` is two in any second, `0.5/h` is one in any two hours."""
    window_us = math.ceil(Fraction(rate.seconds) * _MICRO) if rate.messages >= 1 else interval_us(rate)
    return Quota(max(1, int(rate.messages)), window_us + late_us)


def least_seconds(messages: int, rates: Iterable[Rate]) -> float:
    """Seconds from the first to the last of so many messages, when a line that nobody else uses has these rates."""
    if not (known := list(rates)) or messages < 1:
        return 0.0
    spacing, quotas = shape(known)
    even_us = (messages - 1) * interval_us(spacing)
    return max([even_us, *((messages - 1) // quota.messages * quota.window_us for quota in quotas)]) / _MICRO


def _a_labels(domain: str) -> str:
    """A domain as recipients have it. One that cannot be a recipient's is left alone: it will never be met."""
    try:
        return parse_address(f"x@{domain}").domain
    except AddressError:
        return domain.lower()
