"""The sink: Postfix's smtp-sink, which takes everything and counts it, behind stunnel, which speaks STARTTLS for it."""

import os
import re
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.crew import BenchmarkError, Crew
from benchmarks.measuring import cpu_s

APT = "sudo apt-get install postfix stunnel4"
PLACES = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
SESSIONS = 1000
_COUNT = re.compile(rb"mesg=(\d+)\r")

_STUNNEL = """\
foreground = yes
pid =
syslog = no
debug = warning
[sink]
accept = 127.0.0.1:{tls}
connect = 127.0.0.1:{plain}
protocol = smtp
cert = {certificate}
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
"""


def program(name: str) -> str:
    """The path of an installed program. Raises `BenchmarkError` with the line that installs it."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{PLACES}")
    if path is None:
        raise BenchmarkError(f"{name} is not installed; on Debian and Ubuntu:\n  {APT}")
    return path


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def listens(port: int) -> bool:
    """True when somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Sink:
    """`with Sink(folder) as sink:` listens on `plain_port` without TLS and on `tls_port` with STARTTLS.

    It accepts every message and keeps none. `pipelining=False` does not offer PIPELINING.
    """

    folder: Path
    pipelining: bool = True

    def __post_init__(self) -> None:
        self._programs = program("smtp-sink"), program("stunnel4")
        self._folder = self.folder / "sink"
        self._counters = self._folder / "counters"
        self._crew = Crew(self._folder)
        self.plain_port, self.tls_port = free_port(), free_port()
        self.ca_file = self._folder / "ca.pem"

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True)
        certificate = self._certificate()
        configuration = self._folder / "stunnel.conf"
        configuration.write_text(_STUNNEL.format(plain=self.plain_port, tls=self.tls_port, certificate=certificate))
        smtp_sink, stunnel = self._programs
        # It refuses to run as root unless it is told whom to become.
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        offers = [] if self.pipelining else ["-p"]
        listening = f"127.0.0.1:{self.plain_port}"
        command = [smtp_sink, *user, *offers, "-c", "-m", str(SESSIONS), "-h", "localhost", listening, "1000"]
        self._crew.__enter__()
        try:
            self._crew.start("smtp-sink", command, out=self._counters)
            self._crew.start("stunnel", [stunnel, configuration])
            self._crew.until(lambda: listens(self.plain_port) and listens(self.tls_port), "the sink listens")
        except BaseException:
            self._crew.end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._crew.end()

    def count(self) -> int:
        """Messages accepted so far."""
        return read_count(self._counters)

    def cpu_s(self) -> float:
        """Seconds of CPU that it has used."""
        return sum(cpu_s(self._crew.pids).values())

    def complain(self) -> None:
        """Raise `BenchmarkError` when it does not run any more."""
        self._crew.complain()

    def _certificate(self) -> Path:
        from mailer.capture.authority import Authority

        authority = Authority(self._folder / "authority")
        issued = authority.issue("localhost", "127.0.0.1")
        path = self._folder / "server.pem"
        path.touch(mode=0o600)
        path.write_bytes(issued.private_key_and_cert_chain_pem.bytes())
        self.ca_file.write_bytes(authority.ca_file.read_bytes())
        return path


def read_count(counters: Path) -> int:
    """The last whole `mesg=` that smtp-sink wrote: it writes all its counters anew with every message."""
    with counters.open("rb") as file:
        file.seek(max(0, counters.stat().st_size - 200))
        # What it is just writing may be there in part.
        found = _COUNT.findall(file.read())
    return int(found[-1]) if found else 0
