"""A campaign, its states and its record."""

from enum import StrEnum


class CampaignState(StrEnum):
    """`draft` until the source was read to the end; `paused` always carries a reason; the last two are final."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"
