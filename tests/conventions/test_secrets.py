"""A password of the mail server is in nothing that any command prints, logs, writes or stores."""

import signal
from collections.abc import Callable

import pytest

from tests.cli.desk import Desk
from tests.cli.running import needs_proc
from tests.cli.test_secrets import CANARY, command_lines, everything_in, is_in
from tests.conventions import tour
from tests.relays.scripted import ScriptedRelay

QUEUE_SECRET = "Nachtigall-91c4"


@pytest.mark.thorough
@needs_proc
def test_no_command_prints_writes_or_stores_the_password(
    own_desk: Desk, scripted: Callable[..., ScriptedRelay]
) -> None:
    """At its most talkative, with the dialogue shown; nor is it in a key of the queue, a file, or a process list."""
    tour.prepare(own_desk)
    relay = scripted(own_desk, ScriptedRelay(logins={"news@acme.example": CANARY}), user="news%40acme.example")
    relay.refuses_recipient(own_desk.address("bounce+550"))
    relay.refuses_recipient(own_desk.address("defer+451"), b"451 4.3.0 later\r\n")
    own_desk.environ["MAILER_SMTP_PASSWORD"] = CANARY
    for stop in tour.STOPS:
        done = own_desk.run(*tour.words(stop, own_desk), "-vv")
        assert not is_in(done.out + done.err), stop
        assert not is_in(command_lines()), stop
    assert "AUTH" in relay.verbs()
    assert not is_in(everything_in(own_desk.data))
    written = [file for file in (*own_desk.folder.rglob("*"), *own_desk.data.rglob("*")) if file.is_file()]
    assert not [file for file in written if is_in(file.read_bytes())]


@pytest.mark.thorough
def test_a_password_of_the_queue_server_is_hidden_too(desk: Desk) -> None:
    """In errors and in the settings: the URL is shown without it."""
    desk.campaign("ann")
    desk.environ["MAILER_REDIS_URL"] = f"redis://:{QUEUE_SECRET}@127.0.0.1:9/0"
    for words in (("send", "--yes"), ("status",), ("doctor",), ("config", "show", "--origin"), ("queue", "status")):
        for more in ((), ("--json",), ("-vv",)):
            done = desk.run(*words, *more)
            assert QUEUE_SECRET not in done.out + done.err, words


@pytest.mark.thorough
@needs_proc
def test_a_worker_keeps_its_password_out_of_every_log_line(
    own_desk: Desk, scripted: Callable[..., ScriptedRelay]
) -> None:
    """Also while the relay refuses it and repeats it in its reply."""
    own_desk.campaign("ann")
    relay = scripted(own_desk, ScriptedRelay(logins={"news": "another"}), user="news")
    relay.answers("AUTH", f"535 5.7.8 {CANARY} is wrong\r\n".encode())
    assert own_desk.run("send", "--yes", "--detach").code == 0
    worker = own_desk.start("worker", "-vv", environ={"MAILER_SMTP_PASSWORD": CANARY})
    own_desk.until(lambda: "AUTH" in relay.verbs())
    own_desk.until(lambda: own_desk.status().state == "paused")
    done = own_desk.interrupt(worker, signal.SIGTERM)
    assert not is_in(done.out + done.err)
    assert not is_in(everything_in(own_desk.data))
