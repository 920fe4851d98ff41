"""A machine whose clock is not that of the queue server is told so."""

import time

import pytest

from mailer.backends.redis.connection import check_server
from mailer.backends.redis.ledgers import Ledgers


@pytest.mark.parametrize(("wrong_s", "told"), [(3.8, "ahead of"), (-3600.0, "behind"), (1.5, None), (-1.5, None)])
async def test_clocks_that_differ_by_more_than_two_seconds_are_a_warning(
    ledgers: Ledgers, monkeypatch: pytest.MonkeyPatch, wrong_s: float, told: str | None
) -> None:
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + wrong_s)
    found = [warning for warning in await check_server(ledgers.redis, ledgers.keys) if warning.startswith("W516")]
    assert len(found) == (told is not None)
    if told is not None:
        assert f"{abs(wrong_s):.0f} s {told} the queue server's" in found[0]


async def test_a_warning_about_power_losses_hides_no_other(ledgers: Ledgers, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shared server does not sync at every write."""
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + 60)
    assert [warning[:4] for warning in await check_server(ledgers.redis, ledgers.keys)] == ["W502", "W516"]
