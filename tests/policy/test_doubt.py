"""The in-doubt policy: who is sent to again."""

from typing import Literal

import pytest

from mailer.policy.doubt import MOST_RESENDS, RESENT, is_sent_again


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
