"""Ours: `mailer worker` waits, `mailer send` puts the list into the queue."""

import json
import os
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.course import ROOT, Course, Runner
from benchmarks.crew import BenchmarkError, Crew
from benchmarks.queue_server import client

_SETTINGS = """\
[campaign]
name = "letter"
template = "letter"
sender = "{sender}"
recipients = "recipients.csv"
"""
MAILER = (sys.executable, "-m", "mailer")
CHECK = "status"
DEFAULTS: Mapping[str, str] = {}
TUNED = {"MAILER_SMTP__PIPELINING": "full", "MAILER_SMTP__MAX_MESSAGES_PER_CONNECTION": "10000"}
"""For a relay of one's own: as few round trips and connections as there can be."""
RECORD_S = 15.0
"""For the last outcomes to be recorded after the sink has everything."""


def environ(course: Course, settings: Mapping[str, str] = DEFAULTS) -> dict[str, str]:
    """The settings of every command; those of whoever runs this stay outside."""
    others = {name: "" for name in os.environ if name.startswith("MAILER_")}
    return {
        **others,
        **settings,
        "PYTHONPATH": str(ROOT),
        "MAILER_REDIS_URL": f"unix://{course.queue_socket}",
        "MAILER_SMTP_URL": f"smtp+starttls://127.0.0.1:{course.tls_port}",
        "MAILER_SMTP_CA_FILE": course.ca_file,
        "XDG_CONFIG_HOME": course.scratch,
        "XDG_STATE_HOME": course.scratch,
    }


def workers_wait(course: Course, crew: Crew, settings: Mapping[str, str] = DEFAULTS) -> None:
    """Start worker processes, and wait until they are there."""
    numbers = ["--processes", str(course.processes), "--connections", str(course.connections)]
    crew.start("worker", [*MAILER, "worker", *numbers], environ=environ(course, settings))
    with client(course.queue_socket) as redis:
        crew.until(lambda: redis.zcard("mailer:workers") == course.processes, "the workers are there")


def start_sending(course: Course, crew: Crew, *flags: str, settings: Mapping[str, str] = DEFAULTS) -> None:
    """Start `mailer send --detach`."""
    folder = Path(course.folder)
    (folder / "mailer.toml").write_text(_SETTINGS.format(sender=course.sender))
    command = [*MAILER, "send", "mailer.toml", "--yes", "--detach", "--json", *flags]
    crew.start("producer", command, environ=environ(course, settings), folder=folder)


def send(course: Course, crew: Crew) -> None:
    """All or nothing: nobody is mailed before every row was built."""
    start_sending(course, crew)


def stream(course: Course, crew: Crew, settings: Mapping[str, str] = DEFAULTS) -> None:
    """Workers send while the list is still being read."""
    start_sending(course, crew, "--stream", settings=settings)


def all_recorded(course: Course, crew: Crew) -> None:
    """The whole ledger, counted again, says of everybody that it was sent, no more and no less."""
    crew.until_over("producer")
    deadline = time.monotonic() + RECORD_S
    while (found := _verified(course, crew))["totals"]["sent"] < course.messages and time.monotonic() < deadline:
        time.sleep(0.2)
    totals = found["totals"]
    if found["violations"] or totals["sent"] != course.messages or totals["rows"] != course.messages:
        raise BenchmarkError(f"not everybody was sent: {found}")


def latest(course: Course, crew: Crew) -> str:
    """The id that the last `mailer send` told."""
    told = crew.log("producer").read_text().strip().splitlines()
    campaign_id: str = json.loads(next(line for line in reversed(told) if line.startswith("{")))["campaign_id"]
    return campaign_id


def _verified(course: Course, crew: Crew) -> dict[str, Any]:
    out = Path(course.scratch) / "status.json"
    out.unlink(missing_ok=True)
    command = [*MAILER, "status", latest(course, crew), "--verify", "--json"]
    crew.start(CHECK, command, environ=environ(course), out=out)
    crew.until_over(CHECK)
    crew.end(CHECK)
    found: dict[str, Any] = json.loads(out.read_text())
    return found


RUNNERS = (
    Runner(
        name="mailer --stream",
        what="CSV, template, queue, workers, ledger; workers send while the list is read",
        ready=workers_wait,
        go=stream,
        check=all_recorded,
        needs_queue=True,
    ),
    Runner(
        name="mailer tuned",
        what='the same with pipelining = "full" and max_messages_per_connection = 10000',
        ready=partial(workers_wait, settings=TUNED),
        go=partial(stream, settings=TUNED),
        check=all_recorded,
        needs_queue=True,
    ),
    Runner(
        name="mailer",
        what="as it is by default: every row is built before the first is sent",
        ready=workers_wait,
        go=send,
        check=all_recorded,
        needs_queue=True,
    ),
)
