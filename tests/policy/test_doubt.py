"""The in-doubt policy: who is sent to again, and how many messages there may be."""

from typing import Literal

import pytest

from mailer.policy.doubt import MOST_RESENDS, RESENT, is_sent_again, times_sent_again
from mailer.vocabulary.recipient import State

Q, I, S, R = State.QUEUED, State.IN_DOUBT, State.SENT, State.REFUSED  # noqa: E741 (the letters of the ledger)


@pytest.mark.parametrize(
    ("on_doubt", "reasons", "is_cancelled", "again"),
    [
        ("hold", [], False, False),
        ("resend", [], False, True),
        ("resend", [], True, False),
        ("resend", ["worker_died", RESENT, "interrupted"], False, True),
        ("resend", [RESENT] * MOST_RESENDS, False, False),
    ],
)
def test_only_resend_sends_again_and_not_for_ever(
    on_doubt: Literal["hold", "resend"], reasons: list[str | None], is_cancelled: bool, again: bool
) -> None:
    assert is_sent_again(on_doubt, reasons, is_cancelled=is_cancelled) is again


@pytest.mark.parametrize(
    ("history", "times"),
    [
        ([], 0),
        ([(S, None)], 0),
        ([(I, "worker_died")], 0),
        ([(I, "worker_died"), (Q, RESENT), (S, None)], 1),
        ([(I, "worker_died"), (Q, RESENT), (I, "interrupted"), (Q, RESENT), (I, "interrupted")], 2),
        ([(I, "interrupted"), (Q, "operator"), (S, None)], 1),
        ([(I, "interrupted"), (S, "late"), (Q, "operator")], 1),
        ([(R, "policy"), (Q, "operator"), (S, None)], 0),
        ([(I, "interrupted"), (R, "operator"), (Q, "operator"), (S, None)], 0),
        ([(Q, "worker_died"), (S, None)], 0),
    ],
)
def test_what_left_a_doubt_to_be_sent_counts_whoever_decided(
    history: list[tuple[State, str | None]], times: int
) -> None:
    assert times_sent_again(history) == times
