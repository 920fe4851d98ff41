"""Counts: what a producer has seen of a list so far, and what its run came to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailer.flow.problems import Examples
    from mailer.vocabulary.campaign import CampaignStatus


@dataclass(slots=True)
class Counts:
    """What one pass over the source has counted so far: `read` rows; in all else every address (To, Cc, Bcc) is one."""

    read: int = 0
    rows: int = 0
    invalid: int = 0
    duplicate: int = 0
    new: int = 0
    already: int = 0
    to_send: int = 0
    """Messages that a yes to `confirm` would send."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What a submission came to. `counts` are those of this run; the status has the campaign's."""

    status: "CampaignStatus"
    counts: Counts
    examples: "Examples"


Progress = Callable[[Counts], None]
