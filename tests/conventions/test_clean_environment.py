"""Nothing but Python: no queue server, no worker, no variable, no settings of one's own."""

import json
import os
import subprocess
import sys

import pytest

from mailer.backends import embedded
from tests.cli.desk import Desk, identities
from tests.cli.running import ROOT


@pytest.mark.thorough
def test_send_ends_with_a_complete_report_in_an_empty_environment(own_desk: Desk) -> None:
    """The mail server stands in the campaign's file, and the queue starts where the system keeps a user's state."""
    relay = own_desk.relay
    own_desk.campaign("ann", "bounce+550", more=f'[smtp]\nurl = "{relay.url}"\nca_file = "{relay.ca_file}"\n')
    home = own_desk.folder / "h"
    home.mkdir()
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT)}
    state = home / ".local" / "state" / "mailer"

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "mailer", *words]
        return subprocess.run(command, cwd=own_desk.folder, env=environ, capture_output=True, text=True, check=False)

    try:
        sent = run("send", "--yes")
        assert sent.returncode == 1
        assert "2 accepted + 0 invalid + 0 duplicate = 2 rows ✓" in sent.stdout
        assert "550 5.1.1 unknown user" in sent.stdout
        assert own_desk.arrived == {"ann": 1}
        # It is all there for the next command.
        report = run("report", "--json")
        assert identities(json.loads(report.stdout)["totals"])
        assert embedded.status(state) is not None
    finally:
        embedded.stop(state)
