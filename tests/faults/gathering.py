"""Gathering the evidence: what ledger, relay and trail hold of one campaign when nobody works on it any more."""

from collections.abc import Mapping

from mailer.backends.redis.chunk_parts import read_parts
from mailer.backends.redis.events import OPERATOR, Event
from mailer.backends.redis.ledgers import Ledgers
from mailer.backends.redis.verification import verify
from mailer.vocabulary.campaign import Campaign
from tests.faults.acceptance import Taken
from tests.faults.invariants import Evidence
from tests.faults.mailing import PASSWORD, Mailing
from tests.faults.trail import Trail, Value

RESENT = "resent"
"""The reason of the event that the policy `on_doubt = "resend"` leaves."""


async def gathered(
    ledgers: Ledgers,
    campaign: Campaign,
    mailing: Mailing,
    *,
    taken: Taken,
    trail: Trail,
    upsets: int,
    in_time: bool,
    left_behind: list[str],
    texts: Mapping[str, bytes],
    is_rolled_back: bool = False,
) -> Evidence:
    """All that `invariants.check` asks for."""
    histories, events = await _histories(ledgers, campaign, trail)
    return Evidence(
        status=await ledgers.reading.status(campaign.id),
        records=[record async for record in ledgers.reading.records(campaign)],
        taken=taken,
        histories=histories,
        resends={email: count for email, some in events.items() if (count := sum(map(_is_resend, some)))},
        settled=frozenset(email for email, some in events.items() if any(map(_is_settling, some))),
        rows_read=mailing.rows,
        invalid=1,
        duplicate=1,
        recount=await verify(ledgers.redis, ledgers.keys, campaign.id),
        upsets=upsets,
        connections=mailing.connections,
        in_time=in_time,
        left_behind=left_behind,
        is_rolled_back=is_rolled_back,
        texts=texts,
        secrets=(PASSWORD,),
    )


async def _histories(
    ledgers: Ledgers, campaign: Campaign, trail: Trail
) -> tuple[dict[str, list[Value]], dict[str, list[Event]]]:
    """Trail and events by address: recipients stand in their chunks in the order of their rows."""
    base = ledgers.keys.base(campaign.id)
    found: dict[str, list[Value]] = {}
    events: dict[str, list[Event]] = {}
    for parts in await read_parts(ledgers.redis, base, sorted({chunk for chunk, _ in trail})):
        for entry in (*parts.packed, *parts.unpacked):
            found[entry.email] = trail.get((parts.number, entry.index), [])
            events[entry.email] = entry.events
    return found, events


def _is_resend(event: Event) -> bool:
    """Somebody has decided that a recipient gets the message once more."""
    return event.letter == "q" and event.reason in (OPERATOR, RESENT)


def _is_settling(event: Event) -> bool:
    """The operator has said what became of somebody in doubt."""
    return event.letter != "q" and event.reason == OPERATOR
