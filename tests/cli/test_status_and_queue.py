"""`mailer status` at a glance, and the embedded server that nobody has to think of."""

import os
import signal

import pytest

from tests.cli.desk import Desk


def test_an_empty_queue_has_a_status(own_desk: Desk) -> None:
    done = own_desk.run("status")
    assert done.code == 0
    assert "no campaign yet" in done.out
    assert "workers: none" in done.out
    document = own_desk.run("status", "--json").document
    assert list(document) == ["schema_version", "campaigns", "workers", "queue", "warnings"]
    assert document == {
        "schema_version": 1,
        "campaigns": [],
        "workers": [],
        "queue": {"url": f"unix://{own_desk.data}/server.sock"},
        "warnings": [],
    }


@pytest.mark.thorough
def test_queued_mail_without_a_worker_is_warned_about(own_desk: Desk) -> None:
    own_desk.campaign("ann", "bob")
    own_desk.run("send", "--yes", "--detach")
    (campaign_id,) = own_desk.ids()
    text = own_desk.run("status")
    assert (text.code, text.err.splitlines()[0][:15]) == (0, "warning[W510]: ")
    assert "2 messages queued, but no worker has reported" in text.err
    assert campaign_id in text.out
    for words in ((), (campaign_id,), (own_desk.name,)):
        document = own_desk.run("status", *words, "--json").document
        (campaign,) = document["campaigns"]
        assert (campaign["id"], campaign["state"], campaign["totals"]["queued"]) == (campaign_id, "running", 2)
        assert [warning["code"] for warning in document["warnings"]] == ["W510"]


@pytest.mark.thorough
def test_ten_commands_at_once_start_one_server_that_outlives_them(own_desk: Desk) -> None:
    starting = [own_desk.start("queue", "start", "--json", cold=number == 0) for number in range(10)]
    told = [own_desk.end(process) for process in starting]
    assert [done.code for done in told] == [0] * 10
    assert {(done.document["running"], done.document["url"]) for done in told} == {
        (True, f"unix://{own_desk.data}/server.sock")
    }
    (pid,) = {done.document["pid"] for done in told}
    assert own_desk.processes() == []
    os.kill(pid, 0)
    found = own_desk.run("queue", "status", "--json").document
    assert (found["running"], found["pid"], found["data_dir"]) == (True, pid, str(own_desk.data))


def test_a_stopped_queue_keeps_its_campaigns(own_desk: Desk) -> None:
    assert "not running" in own_desk.run("queue", "status").out
    own_desk.campaign("ann")
    own_desk.run("send", "--yes", "--detach")
    assert "(embedded), pid " in own_desk.run("queue", "status").out
    stopped = own_desk.run("queue", "stop", "--json")
    assert (stopped.code, stopped.document["stopped"], stopped.document["running"]) == (0, True, False)
    again = own_desk.run("queue", "stop")
    assert (again.code, again.out) == (0, "it was not running\n")
    assert own_desk.status().totals.queued == 1


@pytest.mark.thorough
def test_a_worker_is_seen_and_goes_as_it_came(own_desk: Desk) -> None:
    worker = own_desk.start("worker", "--json")
    workers = own_desk.until(lambda: own_desk.run("status", "--json").document["workers"])
    assert list(workers[0]) == ["host", "pid", "version", "health"]
    assert workers[0]["pid"] in own_desk.processes()
    assert f"pid {workers[0]['pid']}" in own_desk.run("status").out
    done = own_desk.interrupt(worker, signal.SIGTERM)
    assert (done.code, done.document["worked"]) == (0, 0)
    assert own_desk.run("status", "--json").document["workers"] == []
