"""The harness notices a mailer made wrong on purpose; `python -m tests.faults --mutants` has all the variants."""

from pathlib import Path

import pytest

from mailer.backends.smtp.session import SmtpSession
from tests.faults import mutants
from tests.faults.cancellation import mixed_up
from tests.faults.plans import Fault, Plan
from tests.faults.rounds import Benches
from tests.faults.steps import Step


def _plan(*faults: Fault) -> Plan:
    return Plan(people=4, chunk=4, faults=faults)


PLANS = {
    "m1": _plan(),
    "m3": _plan(Fault(kind="cut", step=Step.BODY, count=2)),
    "m8": _plan(),
    "m12": _plan(Fault(kind="cut", step=Step.FSYNCED, count=2)),
}


@pytest.mark.parametrize("name", PLANS)
async def test_a_mailer_made_wrong_on_purpose_is_found_out(benches: Benches, name: str) -> None:
    """A harness that overlooks one of them proves nothing."""
    (result,) = await benches.carry_out([PLANS[name]], mutant=name, deadline_s=2)
    assert result.violations, f"not noticed: {mutants.NAMES[name]}"


async def test_a_connection_that_is_used_again_after_a_cancelled_send_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is nothing is mixed up; with that variant something is."""
    assert not await mixed_up(tmp_path)
    monkeypatch.setattr(SmtpSession, "_run", SmtpSession._run)
    mutants.become("m6")
    assert await mixed_up(tmp_path)
