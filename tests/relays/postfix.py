"""A real Postfix on loopback, with a configuration, a queue and a life of its own."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.private_postfix import configure
from benchmarks.sink import free_port
from mailer.vocabulary.route import Route, Security
from tests.relays import certificates

REFUSED = "refused@postfix.test"
SPAM = b"this-smells-of-spam"
MESSAGE_LIMIT = 100_000

_SETTINGS = """\
syslog_name = mailer-test
myhostname = postfix.test
default_transport = discard:
relay_transport = discard:
smtpd_recipient_restrictions = check_recipient_access texthash:{root}/recipients, permit
smtpd_tls_security_level = encrypt
smtpd_tls_chain_files = {root}/chain.pem
smtpd_delay_reject = no
body_checks = regexp:{root}/body_checks
message_size_limit = {limit}
"""

_SERVICES = "discard unix - - n - - discard\n"


def reason_to_skip() -> str | None:
    """Why Postfix cannot be started here; None where it can."""
    if shutil.which("postfix", path="/usr/sbin:/usr/bin") is None:
        return "Postfix is not installed"
    if os.geteuid() != 0:
        return "Postfix must be started by root"
    return None


class Postfix:
    """`with Postfix() as relay:` starts smtpd with STARTTLS required; it takes everything and discards it.

    It refuses the recipient `REFUSED` at RCPT, a body with `SPAM` at the dot, and more than `MESSAGE_LIMIT` bytes.
    """

    def __init__(self, **settings: str) -> None:
        self.port = free_port()
        self._settings = settings
        self._certificates = certificates.good()
        # Not pytest's folder: Postfix's own users must be able to walk down to it.
        self._root = Path(tempfile.mkdtemp(prefix="mailer-postfix-", dir="/tmp"))

    def __enter__(self) -> Self:
        self._configure()
        self._postfix("start")
        _wait_for_greeting(self.port)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._postfix("stop")
        shutil.rmtree(self._root)

    @property
    def log(self) -> str:
        """What Postfix wrote of all this."""
        return (self._root / "log").read_text()

    def route(self) -> Route:
        """The way here, for a client that trusts our authority."""
        return Route(host="127.0.0.1", port=self.port, security=Security.STARTTLS, ca_pem=self._certificates.ca_pem)

    def _configure(self) -> None:
        root = self._root
        root.chmod(0o755)
        settings = _SETTINGS.format(root=root, limit=MESSAGE_LIMIT)
        settings += "".join(f"{key} = {value}\n" for key, value in self._settings.items())
        configure(root, self.port, settings=settings, services=_SERVICES)
        (root / "recipients").write_text(f"{REFUSED} 550 5.1.1 no such user\n")
        (root / "body_checks").write_text(f"/{SPAM.decode()}/ REJECT smells of spam\n")
        chain = root / "chain.pem"
        chain.write_bytes(self._certificates.leaf.private_key_and_cert_chain_pem.bytes())
        chain.chmod(0o600)

    def _postfix(self, command: str) -> None:
        subprocess.run(["postfix", "-c", self._root / "config", command], check=True, capture_output=True, timeout=60)


def _wait_for_greeting(port: int, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=seconds) as client:
                client.recv(100)
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
