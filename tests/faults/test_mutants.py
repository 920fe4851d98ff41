"""The harness notices a mailer made wrong on purpose; `python -m tests.faults --mutants` has all the variants."""

from pathlib import Path

import pytest

from mailer.backends.smtp.conversation import Conversation
from tests.faults import mutants
from tests.faults.cancellation import mixed_up
from tests.faults.hunt import PLANS, find
from tests.faults.rounds import Benches
from tests.thorough import thorough

QUICK = ["m1", "m3", "m12", *thorough("m8")]


@pytest.mark.parametrize("name", QUICK)
async def test_a_mailer_made_wrong_on_purpose_is_found_out(benches: Benches, name: str) -> None:
    """A harness that overlooks one of them proves nothing."""
    (result,) = await benches.carry_out(PLANS[name], mutant=name)
    assert result.violations, f"not noticed: {mutants.NAMES[name]}"


@pytest.mark.every_point
@pytest.mark.parametrize("name", mutants.NAMES)
def test_every_mutant_is_caught_by_an_invariant(name: str) -> None:
    """Each with plans that the mailer as it is gets through."""
    assert find(name).how, mutants.NAMES[name]


async def test_a_connection_that_is_used_again_after_a_cancelled_send_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is nothing is mixed up; with that variant something is."""
    assert not await mixed_up(tmp_path)
    monkeypatch.setattr(Conversation, "abort", Conversation.abort)
    mutants.become("m6")
    assert await mixed_up(tmp_path)
