"""Postfix as the queue: smtp-source hands it the letter, and it relays over kept TLS connections.

The feeder is the cheapest there is, constant bytes from a C program: rendering is not in this figure, Postfix's own
queue on disk is.
"""

import os
import shutil
from pathlib import Path

from benchmarks.course import Course, Runner
from benchmarks.crew import BenchmarkError, Crew
from benchmarks.private_postfix import configure
from benchmarks.sink import free_port, listens, program

_SETTINGS = """\
syslog_name = mailer-benchmark
myhostname = benchmark.example
relayhost = [127.0.0.1]:{tls_port}
smtp_tls_security_level = secure
smtp_tls_secure_cert_match = localhost
smtp_tls_CAfile = {ca_file}
smtp_tls_connection_reuse = yes
smtp_connection_cache_on_demand = yes
smtp_destination_concurrency_limit = {connections}
initial_destination_concurrency = {connections}
default_process_limit = 100
"""

_SERVICES = """\
pickup unix n - n 60 1 pickup
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
scache unix - - n - 1 scache
tlsproxy unix - - n - 0 tlsproxy
anvil unix - - n - 1 anvil
"""


def install(cache: Path) -> None:
    """Installed it must be already; it can be started by root only."""
    program("postfix")
    if os.geteuid() != 0:
        raise BenchmarkError("Postfix must be started by root: sudo")


def ready(course: Course, crew: Crew) -> None:
    """Start it."""
    # Not below a folder that is for us alone: Postfix's own users must be able to walk down to it.
    root = Path(course.scratch)
    port = free_port()
    ca_file = root / "ca.pem"
    shutil.copy(course.ca_file, ca_file)
    connections = course.connections * course.processes
    settings = _SETTINGS.format(tls_port=course.tls_port, ca_file=ca_file, connections=connections)
    config = configure(root, port, settings=settings, services=_SERVICES)
    (root / "port").write_text(str(port))
    crew.start("postfix", [program("postfix"), "-c", config, "start-fg"])
    crew.until(lambda: listens(port), "Postfix listens")


def go(course: Course, crew: Crew) -> None:
    """Feed it."""
    port = (Path(course.scratch) / "port").read_text()
    letter = ["-F", str(Path(course.folder) / "message.eml"), "-f", "news@acme.example", "-t", "a@customer.example"]
    numbers = ["-s", "4", "-m", str(course.messages)]
    crew.start("feeder", [program("smtp-source"), "-4", "-d", *numbers, *letter, f"127.0.0.1:{port}"])


RUNNERS = (
    Runner(
        name="postfix",
        what="Postfix relays over STARTTLS with connection reuse, fed with constant bytes by smtp-source",
        ready=ready,
        go=go,
        install=install,
    ),
)
