"""A connection that could not be protected. It is never used in clear text instead."""

import ssl
from dataclasses import replace

from mailer.backends.smtp.certificate import Shown
from mailer.backends.smtp.raw_cause import raw
from mailer.policy.smtp_url import format_smtp_url
from mailer.vocabulary.errors import RelayError
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.reply import Reply
from mailer.vocabulary.route import Route, Security

# Verification results of OpenSSL (openssl-verification-options(1)).
_NOT_YET_VALID, _EXPIRED = 9, 10
WRONG_NAME = (62, 64)
UNKNOWN_AUTHORITY = (2, 18, 19, 20, 21)

MOST_NAMES = 5
"""Names of a certificate that are told; a shared host's has hundreds."""

_CLEAR_TEXT = {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "UNEXPECTED_MESSAGE"}
"""What OpenSSL makes of `220 ...` where it expects a handshake; the word depends on its version."""
_TOO_OLD = {
    "UNSUPPORTED_PROTOCOL",
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "NO_PROTOCOLS_AVAILABLE",
    "NO_SHARED_CIPHER",
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
    "DH_KEY_TOO_SMALL",
    "EE_KEY_TOO_SMALL",
}


def of_certificate(error: ssl.SSLCertVerificationError, route: Route, shown: Shown) -> RelayError:
    """The certificate cannot be trusted: somebody stands in between, or the configuration is wrong."""
    if error.verify_code in WRONG_NAME:
        return _of_name(error, route, shown.names)
    if error.verify_code in (_EXPIRED, _NOT_YET_VALID):
        what = "has expired" if error.verify_code == _EXPIRED else "is not valid yet"
        return RelayError(
            "E422",
            f"the certificate of {route.relay} {what}",
            why="A certificate out of its time proves nothing.",
            hint="ask the server's operator to renew it, and check the clock of this machine",
            cause=raw(error),
        )
    if error.verify_code in UNKNOWN_AUTHORITY:
        own = "the CA of this server; the one in force is another" if route.ca_pem else "for your own CA"
        issuer = f" ({shown.issuer})" if shown.issuer else ""
        return RelayError(
            "E422",
            f"the certificate of {route.relay} is signed by an unknown authority{issuer}",
            why=error.verify_message,
            hint=f"MAILER_SMTP_CA_FILE=/path/ca.pem   {own}; for a public server update ca-certificates",
            cause=raw(error),
        )
    return RelayError(
        "E422",
        f"the certificate of {route.relay} cannot be trusted: {error.verify_message}",
        hint="ask the server's operator",
        cause=raw(error),
    )


def _of_name(error: ssl.SSLCertVerificationError, route: Route, names: tuple[str, ...]) -> RelayError:
    name = next((name for name in names if "*" not in name), None)
    look = f"openssl s_client -connect {route.relay}" + (
        " -starttls smtp" if route.security is Security.STARTTLS else ""
    )
    hint = f"write the name the certificate was made for; this shows it: {look}"
    if names:
        told = ", ".join(names[:MOST_NAMES]) + (", …" if len(names) > MOST_NAMES else "")
        url = "write one of them into the SMTP URL" if name is None else format_smtp_url(replace(route, host=name))
        hint = f"{url}   (names: {told})"
    return RelayError(
        "E421",
        f"the certificate of {route.relay} is for {name or f'another name than {route.host}'}",
        why="The name in your URL is not in the certificate.",
        hint=hint,
        cause=raw(error),
    )


def of_handshake(error: ssl.SSLError, phase: Phase, route: Route) -> RelayError:
    """The TLS handshake failed for another reason than the certificate."""
    if error.reason in _CLEAR_TEXT and phase is Phase.CONNECT:
        return RelayError(
            "E401",
            f"{route.relay} speaks STARTTLS, but the URL asks for TLS from the start",
            why="The server answered in clear text, so the TLS handshake could not begin.",
            hint=f"smtp+starttls://{route.relay}   (smtps:// belongs to port 465)",
            cause=raw(error),
        )
    if error.reason in _TOO_OLD:
        return RelayError(
            "E425",
            f"{route.relay} offers only outdated encryption",
            why="We use TLS 1.2 or later.",
            hint="ask the server's operator to switch on TLS 1.2 or 1.3",
            cause=raw(error),
        )
    return RelayError(
        "E435",
        f"the TLS handshake with {route.relay} failed",
        why=error.reason,
        hint="try again later; if it stays so, ask the server's operator",
        cause=raw(error),
        retryable=True,
    )


def not_offered(reason: Exception | Reply, route: Route) -> RelayError:
    """STARTTLS is missing or refused: stripped by somebody in between, or not configured."""
    return RelayError(
        "E424",
        f"{route.relay} does not offer STARTTLS",
        why="Without it the connection is not protected; either the server lacks it, or somebody removed the offer.",
        hint=f"smtps://{route.host}:465   if the server has it, else ask its operator",
        cause=raw(reason),
    )


def required(reply: Reply, route: Route) -> RelayError:
    """The relay serves nobody without TLS."""
    return RelayError(
        "E423",
        "the server requires STARTTLS, and the URL switched it off (smtp+insecure://)",
        hint=f"smtp+starttls://{route.relay}",
        cause=str(reply),
    )
