"""`mailer pause`, `resume` and `cancel`: the operator's hand on a campaign, with the reason."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mailer.cli.opening import open_campaign, read_setting
from mailer.reports.figures import moment
from mailer.vocabulary.campaign import CampaignState
from mailer.vocabulary.reply import sanitise

if TYPE_CHECKING:
    from mailer.backends.redis.ledgers import Ledgers
    from mailer.cli.invocation import Invocation

WITHOUT_REASON = "paused by the operator"


async def pause_campaign(invocation: "Invocation", wanted: str, reason: str | None) -> int:
    """Stop a campaign on all workers; what is in a body finishes."""
    async with open_campaign(read_setting(invocation), wanted) as (ledgers, campaign_id):
        paused = await ledgers.control.pause(campaign_id, _words(reason) or WITHOUT_REASON)
        told = "is paused" if paused else "was paused already; the reason is now"
        return await _tell(invocation, ledgers, campaign_id, told)


async def resume_campaign(invocation: "Invocation", wanted: str | None, *, confirm_restore: bool = False) -> int:
    """Let a paused campaign go on; workers take it up at once."""
    async with open_campaign(read_setting(invocation), wanted) as (ledgers, campaign_id):
        await ledgers.control.resume(campaign_id, confirm_restore=confirm_restore)
        waits = (await ledgers.campaigns.status(campaign_id)).state is CampaignState.SCHEDULED
        confirmed = [
            {"at": moment(datetime.fromtimestamp(at_ms / 1000, UTC)), "found": found}
            for at_ms, found in await ledgers.control.confirmed(campaign_id)
        ]
        told = "waits for its time" if waits else "goes on"
        code = await _tell(invocation, ledgers, campaign_id, told, restores_confirmed=confirmed)
        for one in confirmed:
            invocation.say(f"  confirmed {one['at']}: {one['found']}")
        return code


async def cancel_campaign(invocation: "Invocation", wanted: str, reason: str | None) -> int:
    """Cancel for good whoever is not on the wire."""
    async with open_campaign(read_setting(invocation), wanted) as (ledgers, campaign_id):
        await ledgers.control.cancel(campaign_id, _words(reason))
        return await _tell(invocation, ledgers, campaign_id, "is cancelled")


def _words(reason: str | None) -> str:
    """A reason as it may be stored and shown."""
    return sanitise(reason or "")


async def _tell(
    invocation: "Invocation", ledgers: "Ledgers", campaign_id: str, told: str, **further: Sequence[Mapping[str, str]]
) -> int:
    status = await ledgers.campaigns.status(campaign_id)
    totals, reason = status.totals, status.paused_reason or status.cancelled_reason
    if invocation.as_json:
        invocation.document(
            campaign_id=campaign_id,
            state=status.state,
            paused_reason=status.paused_reason,
            cancelled_reason=status.cancelled_reason,
            totals=totals.to_dict(),
            **further,
        )
        return 0
    invocation.data(f"{campaign_id} {told}{f': {reason}' if reason else ''}")
    if told == "is cancelled":
        invocation.say(f"  {totals.cancelled} cancelled, {totals.sent} were sent before")
    if in_flight := totals.claimed + totals.sending:
        invocation.say(f"  {in_flight} in the hands of workers: what is in a body finishes")
    return 0
