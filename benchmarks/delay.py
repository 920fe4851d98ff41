"""A mail server that is far away: what one connection carries, with and without PIPELINING."""

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from benchmarks import ours
from benchmarks.contest import run_lap
from benchmarks.course import ROOT, Course, Runner
from benchmarks.crew import Crew
from benchmarks.ground import Ground
from benchmarks.peers import aiosmtplib_loop
from benchmarks.sink import free_port, listens
from benchmarks.table import number, table

WAYS = (
    ("mailer, the next envelope with the end of a message", True, ours.RUNNERS[1]),
    ("mailer, PIPELINING", True, ours.RUNNERS[0]),
    ("mailer, without", False, ours.RUNNERS[0]),
)


def delay(
    make: Callable[..., Ground], round_trip_ms: float, limit_s: float, tell: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Messages a second, at the sink, of each way."""
    found = []
    for name, pipelining, runner in (*WAYS, ("aiosmtplib send_message", True, aiosmtplib_loop.RUNNERS[0])):
        tell(name)
        with make(pipelining=pipelining) as ground:
            lap = run_lap(ground, _far(runner, round_trip_ms), limit_s)
            found.append(
                {
                    "name": name,
                    "round_trip_ms": round_trip_ms,
                    "connections": ground.connections,
                    "rate": lap.steady_rate,
                    "rate_a_connection": lap.steady_rate / ground.connections,
                    "round_trips": 1000 * ground.connections / lap.steady_rate / round_trip_ms,
                }
            )
    return found


def _far(runner: Runner, round_trip_ms: float) -> Runner:
    """The same, with the delay between it and the sink."""
    port = free_port()

    def ready(course: Course, crew: Crew) -> None:
        command = [sys.executable, "-m", "benchmarks.delay_proxy", str(port), str(course.tls_port), str(round_trip_ms)]
        crew.start("proxy", command, environ={"PYTHONPATH": str(ROOT)})
        crew.until(lambda: listens(port), "the proxy listens")
        runner.ready(replace(course, tls_port=port), crew)

    def go(course: Course, crew: Crew) -> None:
        runner.go(replace(course, tls_port=port), crew)

    return replace(runner, ready=ready, go=go)


def delay_table(found: list[dict[str, Any]]) -> str:
    """For people."""
    head = ("round trip of {round_trip_ms:g} ms, {connections} connections".format(**found[0]), "msg/s")
    more = ("a connection", "round trips a message")
    rows = [
        (way["name"], number(way["rate"]), number(way["rate_a_connection"]), number(way["round_trips"]))
        for way in found
    ]
    return table((*head, *more), rows)
