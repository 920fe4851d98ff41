"""`mailer status`: campaigns, workers and the queue at a glance."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from mailer.backends.redis.connection import check_server, meaning
from mailer.backends.redis.damage import DAMAGED
from mailer.backends.redis.server import redis_ms
from mailer.backends.redis.suppression import list_lost
from mailer.cli.complaints import server_warning, warn
from mailer.cli.opening import open_campaign, open_queue, read_setting
from mailer.config.redis_url import redact
from mailer.reports.figures import grouped, moment
from mailer.reports.tables import status_table
from mailer.vocabulary.campaign import CampaignState
from mailer.vocabulary.errors import MailerError, QueueError, UsageError

if TYPE_CHECKING:
    from mailer.backends.redis.fleet import Worker
    from mailer.backends.redis.ledgers import Ledgers
    from mailer.cli.invocation import Invocation
    from mailer.vocabulary.campaign import CampaignStatus


async def show_status(invocation: "Invocation", wanted: str | None) -> int:
    """All campaigns, or one; the workers; what deserves attention."""
    setting = read_setting(invocation)
    if wanted is not None:
        async with open_campaign(setting, wanted) as (ledgers, campaign_id):
            return await _look(invocation, ledgers, [await ledgers.campaigns.status(campaign_id)], [])
    async with open_queue(setting) as ledgers:
        return await _look(invocation, ledgers, *await _all(ledgers))


async def _all(ledgers: "Ledgers") -> "tuple[list[CampaignStatus], list[MailerError]]":
    """Every campaign that can be read, and what is to be said of the others (E518)."""
    statuses: list[CampaignStatus] = []
    damaged: list[MailerError] = []
    for campaign_id in await ledgers.campaigns.ids():
        # A draft may be dropped between the list and the look.
        with suppress(UsageError):
            try:
                statuses.append(await ledgers.campaigns.status(campaign_id))
            except QueueError as error:
                damaged.append(error)
    return statuses, damaged


async def _look(
    invocation: "Invocation", ledgers: "Ledgers", statuses: "list[CampaignStatus]", warnings: list[MailerError]
) -> int:
    workers = await ledgers.fleet.alive()
    try:
        warnings += [server_warning(text) for text in await check_server(ledgers.redis, ledgers.keys)]
        if await ledgers.suppression.is_lost():
            warnings.append(list_lost(ledgers.keys.suppressed))
    except ResponseError as error:
        # It does not write: what it holds can be told all the same.
        warnings.append(meaning(redact(ledgers.url), error))
    warnings += [_idle(worker) for worker in workers if not worker.is_healthy]
    waiting = sum(status.totals.open for status in statuses if status.state is CampaignState.RUNNING)
    if waiting and not workers:
        warnings.append(deserted(waiting, await _silent_s(ledgers)))
    return _tell(invocation, statuses, workers, ledgers.url, warnings)


async def _silent_s(ledgers: "Ledgers") -> float | None:
    """Seconds since the last worker reported that did not end in an orderly way; None where there is none."""
    beats = [worker.beat_ms for worker in await ledgers.fleet.known()]
    return (await redis_ms(ledgers.redis) - max(beats)) / 1000 if beats else None


def deserted(waiting: int, silent_s: float | None) -> QueueError:
    """W510: so many messages wait, and nobody has worked for so long."""
    messages = "1 message" if waiting == 1 else f"{grouped(waiting)} messages"
    how_long = "lately" if silent_s is None else f"for {silent_s:.0f} s"
    return QueueError("W510", f"{messages} queued, but no worker has reported {how_long}", hint="mailer worker")


def _idle(worker: "Worker") -> QueueError:
    """W515: a worker lives and claims nothing."""
    return QueueError("W515", f"the worker {worker.host} pid {worker.pid} claims nothing: {worker.health}")


def _tell(
    invocation: "Invocation",
    statuses: "list[CampaignStatus]",
    workers: "list[Worker]",
    url: str,
    warnings: list[MailerError],
) -> int:
    if invocation.as_json:
        invocation.document(
            campaigns=[status_document(status) for status in statuses],
            workers=[
                {"host": worker.host, "pid": worker.pid, "version": worker.version, "health": worker.health}
                for worker in workers
            ],
            queue={"url": redact(url)},
            warnings=[warning.to_dict() for warning in warnings],
        )
        return 0
    damaged = any(warning.code == DAMAGED for warning in warnings)
    if statuses:
        invocation.data(status_table(statuses, width=invocation.width, color=invocation.color).rstrip("\n"))
    elif not damaged:
        invocation.data("no campaign yet   mailer demo, or mailer send")
    told = ", ".join(f"{worker.host} pid {worker.pid}" for worker in workers) or "none"
    invocation.data(f"workers: {told}\nqueue: {redact(url)}")
    for warning in warnings:
        warn(warning, invocation)
    return 0


def status_document(status: "CampaignStatus") -> dict[str, Any]:
    """A campaign as the JSON documents of `status` and `watch` have it."""
    campaign = status.campaign
    return {
        "id": campaign.id,
        "name": campaign.name,
        "state": status.state,
        "paused_reason": status.paused_reason,
        "cancelled_reason": status.cancelled_reason,
        "source_complete": status.source_complete,
        "created": _time(campaign.created_ms),
        "started": _time(status.started_ms),
        "finished": _time(status.finished_ms),
        "begins": _time(status.at_ms),
        "next_due": _time(status.next_due_ms),
        "totals": status.totals.to_dict(),
    }


def _time(ms: int | None) -> str | None:
    from datetime import UTC, datetime

    return moment(datetime.fromtimestamp(ms / 1000, UTC)) if ms is not None else None
