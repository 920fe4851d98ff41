"""The route of a relay, made from its settings."""

import re
import ssl
from pathlib import Path

from mailer.policy.smtp_url import parse_smtp_url
from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.route import Route
from mailer.vocabulary.settings import SmtpSettings

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[\sA-Za-z0-9+/=]+-----END CERTIFICATE-----")


def route_of(smtp: SmtpSettings) -> Route:
    """The route to the relay of `smtp.url`, with the certificates of `ca_file` in it.

    Raises:
        UsageError: E105 without a URL, E102 to E104 for one that is refused, E108 when the file cannot be read, E107
            when it holds no certificate.
    """
    if smtp.url is None:
        raise UsageError(
            "E105",
            "no mail server is set",
            hint="smtp.url in mailer.toml, or MAILER_SMTP_URL=smtp+starttls://user@host:587\n"
            "to try without one: mailer capture (a local test server), or mailer demo",
        )
    return parse_smtp_url(smtp.url, ca_pem=None if smtp.ca_file is None else certificates(smtp.ca_file))


def certificates(path: Path) -> str:
    """The certificates in a PEM file and nothing else of it: the route is stored, a key beside them must not be.

    Raises:
        UsageError: E108 when the file cannot be read, E107 when it holds no certificate.
    """
    try:
        text = path.read_bytes().decode("ascii", "replace")
    except OSError as error:
        raise UsageError(
            "E108", f"the certificate file {path} cannot be read", where="smtp.ca_file", why=error.strerror
        ) from None
    pem = "\n".join(_CERTIFICATE.findall(text))
    if not pem or not _is_loadable(pem):
        raise UsageError(
            "E107",
            f"there is no certificate in {path}",
            where="smtp.ca_file",
            why="A PEM file has a line -----BEGIN CERTIFICATE-----.",
            hint=f"openssl x509 -inform der -in {path} -out ca.pem   if it is in DER form",
        )
    return pem + "\n"


def _is_loadable(pem: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except ssl.SSLError:
        return False
    return True
