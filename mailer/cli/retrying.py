"""`mailer retry` and `mailer resolve`: recipients are tried again, or leave their doubt, because somebody says so."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mailer.cli.confirming import confirmed, require_terminal
from mailer.cli.opening import open_campaign, read_setting
from mailer.policy.addressing import AddressError, parse_address
from mailer.policy.selection import select
from mailer.vocabulary.acts import Resolution, Retried, Selection
from mailer.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from mailer.cli.invocation import Invocation
    from mailer.vocabulary.campaign import CampaignStatus


def read_selection(states: str | None, codes: str | None, domain: str | None, limit: int | None) -> Selection:
    """The flags of `retry`. Raises `UsageError` E101."""
    try:
        return select(states, codes, domain, limit)
    except ValueError as error:
        raise UsageError("E101", str(error), hint="mailer retry --help") from error


async def retry_campaign(invocation: "Invocation", wanted: str, selection: Selection, *, yes: bool) -> int:
    """Queue the selected recipients again, after asking."""
    require_terminal(yes=yes)
    async with open_campaign(read_setting(invocation), wanted) as (ledgers, campaign_id):
        status = await ledgers.campaigns.status(campaign_id)
        if not yes:
            ahead = await ledgers.control.count(campaign_id, selection)
            if ahead.recipients and not _agreed(status, ahead):
                invocation.say("Nothing was sent.")
                return 0
        made = await ledgers.control.retry(campaign_id, selection)
        state = (await ledgers.campaigns.status(campaign_id)).state
    if invocation.as_json:
        invocation.document(
            campaign_id=campaign_id,
            state=state,
            queued=made.recipients,
            without_message=made.without_message,
            suppressed=made.suppressed,
        )
        return 0
    invocation.data(f"{campaign_id}: {made.recipients} queued again")
    if made.without_message:
        invocation.say(f"  {made.without_message} cannot be tried again: no message could be built for them")
    if made.suppressed:
        invocation.say(
            f"  {made.suppressed} are on the do-not-send list and stay as they are: mailer suppress why ADDR, or remove"
        )
    if made.recipients:
        invocation.say("  workers send it: mailer worker")
    return 0


def _agreed(status: "CampaignStatus", ahead: Retried) -> bool:
    campaign = status.campaign
    print(
        f"\n  {ahead.recipients} messages again, from {campaign.sender}\n  through {campaign.smtp.url}", file=sys.stderr
    )
    return confirmed(ahead.recipients, above=campaign.delivery.confirm_above)


async def resolve_campaign(
    invocation: "Invocation", wanted: str, addresses: Sequence[str], resolution: Resolution
) -> int:
    """Settle recipients in doubt, all of them or none."""
    read = [_address(address) for address in addresses]
    async with open_campaign(read_setting(invocation), wanted) as (ledgers, campaign_id):
        resolved = await ledgers.control.resolve(campaign_id, read, resolution)
        status = await ledgers.campaigns.status(campaign_id)
    if invocation.as_json:
        invocation.document(
            campaign_id=campaign_id,
            state=status.state,
            resolved=resolved,
            unchanged=len(set(read)) - resolved,
            in_doubt=status.totals.in_doubt,
        )
        return 0
    told = "queued again" if resolution is Resolution.RESEND else f"resolved as {resolution}"
    invocation.data(f"{campaign_id}: {resolved} {told}, {status.totals.in_doubt} still in doubt")
    return 0


def _address(text: str) -> str:
    try:
        return parse_address(text).addr_spec
    except AddressError as error:
        raise UsageError("E101", f"{text!r} is not an e-mail address: {error}", safe="Nothing was changed.") from error
