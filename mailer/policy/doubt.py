"""In-doubt policy: whether what may have arrived is sent again by itself, and how often somebody was sent to again."""

from collections.abc import Iterable, Sequence
from typing import Literal

from mailer.vocabulary.recipient import State

RESENT = "resent"
"""The reason of an event by which the policy queues again what was in doubt."""
RESENT_TEXT = "on_doubt is resend: sent again, may arrive twice"
MOST_RESENDS = 2
"""The third doubt stays one: a relay that never answers would get the message for ever."""

_DECISIONS = frozenset({RESENT, "operator"})


def is_sent_again(on_doubt: Literal["hold", "resend"], reasons: Sequence[str | None], *, is_cancelled: bool) -> bool:
    """Whether a recipient that is in doubt is queued again at once.

    `reasons` are those of its events since the operator's last word. Nobody of a cancelled campaign is sent to again.
    """
    return on_doubt == "resend" and not is_cancelled and reasons.count(RESENT) < MOST_RESENDS


def times_sent_again(history: Iterable[tuple[State, str | None]]) -> int:
    """How often a recipient was queued again out of a doubt, by the policy or by an operator: so many more messages may
    have arrived.

    `history` has the state and the reason of each of its events, oldest first.
    """
    times, is_in_doubt = 0, False
    for state, reason in history:
        if state is State.IN_DOUBT:
            is_in_doubt = True
        elif is_in_doubt and reason in _DECISIONS:
            # A late reply that stands beside the record is no decision.
            times += state is State.QUEUED
            is_in_doubt = False
    return times
