"""In-doubt policy: whether what may have arrived is sent again by itself."""

from collections.abc import Sequence
from typing import Literal

RESENT = "resent"
"""The reason of an event by which the policy queues again what was in doubt."""
RESENT_TEXT = "on_doubt is resend: sent again, may arrive twice"
MOST_RESENDS = 2
"""The third doubt stays one: a relay that never answers would get the message for ever."""


def is_sent_again(on_doubt: Literal["hold", "resend"], reasons: Sequence[str | None], *, is_cancelled: bool) -> bool:
    """Whether a recipient that is in doubt is queued again at once.

    `reasons` are those of its events since the operator's last word. Nobody of a cancelled campaign is sent to again.
    """
    return on_doubt == "resend" and not is_cancelled and reasons.count(RESENT) < MOST_RESENDS
