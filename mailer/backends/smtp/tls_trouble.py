"""A connection that could not be protected. It is never used in clear text instead."""

import ssl

from mailer.backends.smtp.raw_cause import raw
from mailer.vocabulary.errors import RelayError
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.reply import Reply
from mailer.vocabulary.route import Route, Security

# Verification results of OpenSSL (openssl-verification-options(1)).
_NOT_YET_VALID, _EXPIRED = 9, 10
_WRONG_NAME, _WRONG_ADDRESS = 62, 64
_UNKNOWN_AUTHORITY = (2, 18, 19, 20, 21)

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


def of_certificate(error: ssl.SSLCertVerificationError, route: Route) -> RelayError:
    """The certificate cannot be trusted: somebody stands in between, or the configuration is wrong."""
    if error.verify_code in (_WRONG_NAME, _WRONG_ADDRESS):
        return RelayError(
            "E421",
            f"the certificate of {route.relay} is for another name than {route.host}",
            why="The name in your URL is not in the certificate.",
            hint=f"write the name the certificate was made for; this shows it: openssl s_client -connect {route.relay}"
            + (" -starttls smtp" if route.security is Security.STARTTLS else ""),
            cause=raw(error),
        )
    if error.verify_code in (_EXPIRED, _NOT_YET_VALID):
        what = "has expired" if error.verify_code == _EXPIRED else "is not valid yet"
        return RelayError(
            "E422",
            f"the certificate of {route.relay} {what}",
            why="A certificate out of its time proves nothing.",
            hint="ask the server's operator to renew it, and check the clock of this machine",
            cause=raw(error),
        )
    if error.verify_code in _UNKNOWN_AUTHORITY:
        own = "the CA of this server; the one in force is another" if route.ca_pem else "for your own CA"
        return RelayError(
            "E422",
            f"the certificate of {route.relay} is signed by an unknown authority",
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
