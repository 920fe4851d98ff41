"""`mailer status --verify`: the ledger of a campaign, counted again."""

from typing import TYPE_CHECKING

from mailer.backends.redis.verification import verify
from mailer.cli.opening import open_campaign, read_setting

if TYPE_CHECKING:
    from mailer.cli.invocation import Invocation

DIFFERS = 3


async def verify_campaign(invocation: "Invocation", wanted: str | None) -> int:
    """Recount every chunk and hold it against the counters; exit 3 with what differs."""
    async with open_campaign(read_setting(invocation), wanted) as (ledgers, campaign_id):
        violations = await verify(ledgers.redis, ledgers.keys, campaign_id)
        totals = (await ledgers.campaigns.status(campaign_id)).totals
    if invocation.as_json:
        invocation.document(campaign_id=campaign_id, violations=violations, totals=totals.to_dict())
    elif violations:
        invocation.data(
            "\n".join([f"{campaign_id}: {len(violations)} findings", *(f"  ✗ {one}" for one in violations)])
        )
    else:
        invocation.data(f"{campaign_id}: {totals.accepted} recipients counted again, everything adds up ✓")
    return DIFFERS if violations else 0
