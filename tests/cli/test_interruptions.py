"""Told to stop, or stopped: what is on the wire is finished, the rest stays queued, and running it again goes on."""

import os
import re
import signal
from pathlib import Path

import pytest

from mailer.backends import embedded
from tests.cli.desk import Desk
from tests.cli.running import needs_proc
from tests.thorough import thorough

ONE_BY_ONE = "[smtp]\nmax_connections = 1\n"
SLOW = ["ann", "slow+500ms", "bob", "slow+501ms", "cy"]
"""When ann has hers, the next one is under way for half a second."""


def ignores(pid: int, number: int) -> bool:
    mask = re.search(r"SigIgn:\t(\w+)", Path(f"/proc/{pid}/status").read_text())
    assert mask is not None
    return bool(int(mask[1], 16) >> (number - 1) & 1)


@pytest.mark.thorough
def test_ctrl_c_finishes_what_is_on_the_wire_and_the_same_command_goes_on(own_desk: Desk) -> None:
    own_desk.campaign(*SLOW, more=ONE_BY_ONE)
    process = own_desk.start("send", "--yes")
    own_desk.until(lambda: own_desk.arrived["ann"])
    done = own_desk.interrupt(process)
    assert (done.code, done.out) == (130, "")
    assert own_desk.arrived == {"ann": 1, "slow+500ms": 1}
    (campaign_id,) = own_desk.ids()
    assert f"{campaign_id}: 2 done, 3 still queued; nothing is lost." in done.err
    assert "the same command again goes on" in done.err
    assert own_desk.processes() == []

    again = own_desk.run("send", "--yes", "--json")
    assert (again.code, again.document["campaign"]["id"]) == (0, campaign_id)
    assert own_desk.arrived == dict.fromkeys(SLOW, 1)


@pytest.mark.thorough
def test_sigterm_stops_waiting_with_exit_code_5(own_desk: Desk) -> None:
    own_desk.campaign(*SLOW, more=ONE_BY_ONE)
    process = own_desk.start("send", "--yes")
    own_desk.until(lambda: own_desk.arrived["ann"])
    done = own_desk.interrupt(process, signal.SIGTERM)
    assert done.code == 5
    assert "3 still queued" in done.err
    assert own_desk.arrived == {"ann": 1, "slow+500ms": 1}


def test_a_second_ctrl_c_ends_at_once_and_what_was_on_the_wire_is_in_doubt(own_desk: Desk) -> None:
    own_desk.campaign("ann", "slow+20s", "bob", more=ONE_BY_ONE)
    process = own_desk.start("send", "--yes")
    own_desk.until(lambda: own_desk.arrived["ann"] and own_desk.status().totals.sending)
    process.signal(signal.SIGINT)
    process.says("finishing what is on the wire")
    assert own_desk.interrupt(process).code == 130
    totals = own_desk.status().totals
    assert (totals.sent, totals.in_doubt, totals.queued) == (1, 1, 1)


@pytest.mark.thorough
def test_the_end_of_the_wait_is_exit_code_5(own_desk: Desk) -> None:
    own_desk.campaign("slow+900ms", "bob", more=ONE_BY_ONE)
    done = own_desk.run("send", "--yes", "--wait", "500ms", "--json")
    assert done.code == 5
    assert done.document["campaign"]["state"] == "running"
    assert done.document["totals"]["queued"] == 1
    assert own_desk.arrived == {"slow+900ms": 1}


@pytest.mark.thorough
def test_who_only_watched_goes_on_with_the_work_when_the_one_who_did_it_has_left(own_desk: Desk) -> None:
    own_desk.campaign(*SLOW, more=ONE_BY_ONE)
    worker = own_desk.start("send", "--yes")
    own_desk.until(lambda: own_desk.arrived["ann"])
    watcher = own_desk.start("send", "--yes")
    watcher.says("5 accepted")
    assert own_desk.interrupt(worker).code == 130
    done = own_desk.end(watcher)
    assert done.code == 0
    assert "this command goes on with the work" in done.err
    assert own_desk.arrived == dict.fromkeys(SLOW, 1)


@pytest.mark.thorough
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 5), *thorough((signal.SIGINT, 130))])
def test_a_worker_drains_and_gives_the_rest_back(own_desk: Desk, number: signal.Signals, code: int) -> None:
    own_desk.campaign(*SLOW, more=ONE_BY_ONE)
    own_desk.run("send", "--yes", "--detach")
    worker = own_desk.start("worker")
    own_desk.until(lambda: own_desk.arrived["ann"])
    assert own_desk.interrupt(worker, number).code == code
    # What was on the wire is finished, nobody is in doubt, and the rest waits.
    arrived, totals = own_desk.arrived, own_desk.status().totals
    assert set(arrived.values()) == {1}
    assert totals.queued == len(SLOW) - len(arrived)
    assert totals.queued > 0
    assert totals.sent == len(arrived)
    assert own_desk.processes() == []


@pytest.mark.thorough
@needs_proc
def test_a_queue_server_that_dies_under_a_send_ends_neither_it_nor_a_message(own_desk: Desk) -> None:
    people = ["ann", "slow+500ms", "bob"]
    own_desk.campaign(*people, more=ONE_BY_ONE)
    process = own_desk.start("send", "--yes", "--json")
    own_desk.until(lambda: own_desk.arrived["ann"] and own_desk.status().totals.sending)
    # Its heartbeat writes to the socket that nobody reads now: with SIGPIPE at its default that would be the end.
    assert ignores(process.pid, signal.SIGPIPE)
    server = embedded.status(own_desk.data)
    assert server is not None
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    own_desk.until(lambda: own_desk.arrived["slow+500ms"])
    embedded.ensure(own_desk.data)
    done = own_desk.end(process)
    if done.code == 4:
        # It had noticed, and says that nothing is lost.
        assert done.error["code"] == "E501"
        done = own_desk.run("send", "--yes", "--json")
    assert (done.code, done.document["totals"]["sent"]) == (0, 3)
    assert own_desk.arrived == dict.fromkeys(people, 1)
