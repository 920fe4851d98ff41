"""smtp-source, Postfix's own load generator in C: one constant message, no TLS, no queue."""

from pathlib import Path

from benchmarks.course import Course, Runner
from benchmarks.crew import Crew
from benchmarks.sink import program


def go(course: Course, crew: Crew) -> None:
    """Start it; `-d` keeps the connections."""
    numbers = ["-s", str(course.connections * course.processes), "-m", str(course.messages)]
    letter = ["-F", str(Path(course.folder) / "message.eml"), "-f", "news@acme.example", "-t", "a@customer.example"]
    crew.start("smtp-source", [program("smtp-source"), "-4", "-d", *numbers, *letter, f"127.0.0.1:{course.plain_port}"])


RUNNERS = (
    Runner(name="smtp-source", what="C, constant bytes, no TLS, no queue, kept connections", go=go, is_limit=True),
)
