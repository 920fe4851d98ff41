"""A certificate in words: whose it is, who signed it, until when."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mailer.vocabulary.reply import sanitise

SOON_DAYS = 14
"""Days before the end in which somebody should already be renewing it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a certificate that was not trusted says; empty where nobody could tell.

    The `names` were signed by an authority that is trusted; `issuer` is hearsay.
    """

    names: tuple[str, ...] = ()
    issuer: str | None = None


# Any: the form in which Python gives a certificate has no type.
def certificate_told(certificate: Mapping[str, Any], *, now: datetime | None = None) -> str:
    """`relay.test, 127.0.0.1; by Example CA; expires 2026-12-21 (30 days)`, from what `getpeercert` gives."""
    names = ", ".join(names_of(certificate))
    issuer = {key: value for part in certificate.get("issuer", ()) for key, value in part}
    signer = issuer.get("commonName") or issuer.get("organizationName") or "an unnamed authority"
    end = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
    days = (end - (now or datetime.now(UTC))).days
    when = f"expires {end:%Y-%m-%d} ({days} days{': renew it' if days < SOON_DAYS else ''})"
    return sanitise(f"{names or 'no names'}; by {signer}; {when}")


def names_of(certificate: Mapping[str, Any]) -> tuple[str, ...]:
    """The names and addresses a certificate was made for."""
    return tuple(sanitise(str(name)) for _, name in certificate.get("subjectAltName", ()))
