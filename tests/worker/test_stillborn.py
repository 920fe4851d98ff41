"""Workers that cannot start at all end their supervisor, instead of being tried for ever."""

import sys
from pathlib import Path

import pytest

from mailer.config.orders import Orders
from mailer.vocabulary.errors import QueueError
from mailer.worker import supervisor
from mailer.worker.supervisor import Supervisor


async def test_workers_that_die_at_once_are_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A broken installation is said, and nobody waits for it."""
    broken = tmp_path / "python"
    broken.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'raise SystemExit(1)'\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    monkeypatch.setattr(supervisor, "LONGEST_PAUSE_S", 0.01)
    with pytest.raises(QueueError) as said:
        await Supervisor(Orders(queue_url="unix:///nowhere"), 1).run()
    assert said.value.code == "E515"
