"""What a container's health check asks."""

import pytest

from tests.cli.desk import Desk


@pytest.mark.thorough
def test_a_worker_is_alive_while_it_runs_and_no_longer(own_desk: Desk) -> None:
    """0 while one of this machine reports, and 3 before and after."""
    own_desk.campaign("ann")
    assert own_desk.run("worker", "--check").code == 3
    worker = own_desk.start("worker")
    own_desk.until(lambda: own_desk.run("worker", "--check").code == 0)
    assert own_desk.run("worker", "--check", "--json").document["alive"] is True
    assert own_desk.interrupt(worker).code == 130
    assert own_desk.run("worker", "--check").code == 3
