"""Throw-away authorities and certificates."""

import datetime
import ssl
from dataclasses import dataclass
from functools import cache

import trustme

NAMES = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class Certificates:
    """One authority: what a client must trust, and what a server shows."""

    ca_pem: str
    leaf: trustme.LeafCert

    @property
    def server_context(self) -> ssl.SSLContext:
        """TLS for a server that shows this certificate."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.leaf.configure_cert(context)
        return context


def issue(*names: str, days: int = 30) -> Certificates:
    """A new authority and a certificate for these names; a negative number of days makes one that has expired."""
    ca = trustme.CA()
    now = datetime.datetime.now(datetime.UTC)
    start, end = sorted((now - datetime.timedelta(days=60), now + datetime.timedelta(days=days)))
    leaf = ca.issue_cert(*(names or NAMES), not_before=start, not_after=end)
    return Certificates(ca.cert_pem.bytes().decode(), leaf)


@cache
def good() -> Certificates:
    """The certificate of a well-run relay on this machine."""
    return issue()
