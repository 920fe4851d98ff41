"""Looking at a campaign after an operator's act: the recount finds nothing, and what is said of somebody."""

from mailer.backends.redis.ledgers import Ledgers
from mailer.backends.redis.verification import verify
from mailer.vocabulary.campaign import Campaign, CampaignStatus
from mailer.vocabulary.report import RecipientRecord
from tests.ledger.campaigns import records


async def sound(ledgers: Ledgers, campaign: Campaign) -> CampaignStatus:
    """The status, after a recount that finds nothing wrong."""
    found = await verify(ledgers.redis, ledgers.keys, campaign.id)
    assert not found, found
    return await ledgers.reading.status(campaign.id)


async def record_of(ledgers: Ledgers, campaign: Campaign, row: int) -> RecipientRecord:
    """What the report says of the recipient in this row."""
    return next(record for record in await records(ledgers, campaign) if record.row == row)


async def is_live(ledgers: Ledgers, campaign: Campaign) -> bool:
    """Whether the reconciler looks after it."""
    return campaign.id in await ledgers.campaigns.live()


async def waiting_jobs(ledgers: Ledgers, campaign: Campaign) -> set[int]:
    """The chunks that have a job in arq's queue."""
    waiting = [job.decode().split(":") for job in await ledgers.redis.zrange(ledgers.keys.queue, 0, -1)]
    return {int(parts[-2]) for parts in waiting if campaign.id in parts}


async def forget_jobs(ledgers: Ledgers) -> None:
    """As if workers had taken every job there is and found nothing."""
    jobs = [job.decode() for job in await ledgers.redis.zrange(ledgers.keys.queue, 0, -1)]
    if jobs:
        await ledgers.redis.unlink(ledgers.keys.queue, *(f"arq:job:{job}" for job in jobs))
