"""Logging in: one mechanism, one attempt (RFC 4954)."""

from collections.abc import Sequence

import aiosmtplib

PREFERENCE = ("plain", "login", "cram-md5")
"""Inside TLS PLAIN is as safe as the others, one round trip shorter, and the best tested on servers."""


class NoMechanismError(aiosmtplib.SMTPException):
    """The relay offers no way to log in that we know."""


def choose_mechanism(offered: Sequence[str]) -> str:
    """The mechanism to use, of those offered (in lower case). Raises `NoMechanismError`."""
    for mechanism in PREFERENCE:
        if mechanism in offered:
            return mechanism
    raise NoMechanismError(f"AUTH mechanisms offered: {' '.join(offered) or 'none'}")


async def log_in(client: aiosmtplib.SMTP, user: str, password: str, timeout: float) -> None:
    """Log in with the first mechanism of ours that EHLO offered.

    aiosmtplib's own `login` tries one mechanism after the other: a bad password would count three times, on every
    connection of every worker, and lock the account. Raises `aiosmtplib.SMTPException`.
    """
    match choose_mechanism(client.server_auth_methods):
        case "plain":
            await client.auth_plain(user, password, timeout=timeout)
        case "login":
            await client.auth_login(user, password, timeout=timeout)
        case _:
            await client.auth_crammd5(user, password, timeout=timeout)
