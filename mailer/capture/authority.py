"""A certificate authority of one's own, kept in a folder so that clients can go on trusting it."""

import os
import ssl
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import trustme


class Authority:
    """The authority of `folder`: made there the first time, read again afterwards.

    `ca_file` (`ca.pem`, 0644) is what clients trust; `ca.key` (0600) signs and stays here.
    """

    def __init__(self, folder: Path) -> None:
        import trustme

        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.ca_file = folder / "ca.pem"
        secret = folder / "ca.key"
        # The key file holds the certificate too and is made in one step: two commands that begin together share it.
        if not secret.exists():
            made = trustme.CA(organization_name="mailer capture", organization_unit_name="for tests only")
            with suppress(FileExistsError):
                _create(secret, made.private_key_pem.bytes() + made.cert_pem.bytes())
        both = secret.read_bytes()
        self._ca = trustme.CA.from_pem(both, both)
        _replace(self.ca_file, self._ca.cert_pem.bytes())

    def server_context(self, *names: str) -> ssl.SSLContext:
        """A TLS context for a server of these host names and addresses, TLS 1.2 or later; its key is never stored."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.issue(*names).configure_cert(context)
        return context

    def issue(self, *names: str) -> "trustme.LeafCert":
        """A certificate with its key for a server of these host names and addresses."""
        return self._ca.issue_cert(*names, organization_name="mailer capture")


def _create(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent) as new:
        new.write(content)
        new.flush()
        os.link(new.name, path)


def _replace(path: Path, content: bytes) -> None:
    with suppress(FileNotFoundError):
        if path.read_bytes() == content:
            return
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as new:
        new.write(content)
    made = Path(new.name)
    made.chmod(0o644)
    made.replace(path)
