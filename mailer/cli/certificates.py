"""`mailer dev certs`: an authority and a server certificate for tests and compose files."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mailer.capture.authority import Authority
from mailer.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from mailer.cli.invocation import Invocation


def make_certificates(invocation: "Invocation", out: Path, hosts: list[str]) -> int:
    """Make `ca.pem`, `server.pem` and `server.key`; what is there already and fits is kept."""
    try:
        authority = _authority(out)
        made = _server_certificate(authority, out, hosts)
    except ModuleNotFoundError as error:
        raise UsageError(
            "E120", f"certificates need {error.name}, which is not installed", hint="pip install '.[demo]'"
        ) from error
    except OSError as error:
        raise UsageError(
            "E112", f"the certificates cannot be written to {out}: {error.strerror}", hint="name another folder: --out"
        ) from error
    paths = {name: str(out / file) for name, file in _FILES.items()}
    if invocation.as_json:
        invocation.document(**paths, hosts=hosts, made=made)
    else:
        for path in paths.values():
            invocation.data(path)
        state = "made" if made else "kept: it is of this authority and has these names"
        invocation.say(f"certificate for {', '.join(hosts)} {state}\n  MAILER_SMTP_CA_FILE={paths['ca_file']}")
    return 0


_FILES = {"ca_file": "ca.pem", "certificate_file": "server.pem", "key_file": "server.key"}


def _authority(out: Path) -> Authority:
    """The authority of this folder. Raises E118 where `ca.pem` is somebody else's."""
    # Others have to read ca.pem; the keys in the folder have modes of their own.
    out.mkdir(mode=0o755, parents=True, exist_ok=True)
    ca_file, secret = out / "ca.pem", out / "ca.key"
    if (ca_file.exists() and not secret.exists()) or (secret.exists() and not _is_ours(secret, ca_file)):
        raise _foreign(ca_file)
    return Authority(out)


def _is_ours(secret: Path, ca_file: Path) -> bool:
    """True where the key file is of the form we write, with the certificate of `ca.pem` in it."""
    both = secret.read_bytes()
    return both.count(b"-----BEGIN") == 2 and (not ca_file.exists() or ca_file.read_bytes().strip() in both)


def _server_certificate(authority: Authority, out: Path, hosts: list[str]) -> bool:
    """Issue a certificate unless the one that is there will do; True when a new one was made."""
    certificate_file, key_file = out / "server.pem", out / "server.key"
    ca = _read(authority.ca_file)
    if certificate_file.exists():
        there = _read(certificate_file)
        if ca is None or there is None or not _is_issued_by(there, ca):
            raise _foreign(certificate_file)
        if key_file.exists() and _names_of(there) == set(hosts):
            return False
    elif key_file.exists():
        raise _foreign(key_file)
    try:
        leaf = authority.issue(*hosts)
    except ValueError as error:
        raise UsageError("E101", f"--host: {error}", hint="--host mail.test, or an IP address") from error
    _write(key_file, leaf.private_key_pem.bytes(), 0o600)
    _write(certificate_file, b"".join(pem.bytes() for pem in leaf.cert_chain_pems), 0o644)
    return True


def _read(path: Path) -> "Certificate | None":
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError:
        return None


def _is_issued_by(certificate: "Certificate", ca: "Certificate") -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        certificate.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _names_of(certificate: "Certificate") -> set[str]:
    from cryptography import x509

    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = (str(address) for address in names.get_values_for_type(x509.IPAddress))
    return {*names.get_values_for_type(x509.DNSName), *addresses}


def _write(path: Path, content: bytes, mode: int) -> None:
    """Whole or not at all, and never readable by more people than `mode` allows."""
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)
    Path(name).replace(path)


def _foreign(path: Path) -> UsageError:
    return UsageError(
        "E118",
        f"{path} was not made here",
        why="Somebody may depend on it.",
        hint="--out another folder, or move the file away",
        safe="Nothing was changed.",
    )
