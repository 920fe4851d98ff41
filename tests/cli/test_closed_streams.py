"""Streams that the caller has closed: nobody wants to read, and the command does its work all the same."""

import subprocess
import sys

import pytest

from tests.cli.desk import Desk
from tests.cli.running import ROOT


@pytest.mark.thorough
@pytest.mark.parametrize("closed", [">&- 2>&-", ">&-", "2>&-"])
def test_a_command_whose_output_is_closed_does_its_work(desk: Desk, closed: str) -> None:
    """Everybody gets the mail, and it ends with its own exit code, without a traceback."""
    desk.campaign("ann")
    line = f"{sys.executable} -m mailer send --yes {closed}"
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=desk.folder,
        env={**desk.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert desk.arrived == {"ann": 1}
