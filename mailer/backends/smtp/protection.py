"""TLS for a route: always verified, never below 1.2 (RFC 8314 section 4.1)."""

import ssl

from mailer.vocabulary.errors import RelayError
from mailer.vocabulary.route import Route, Security


def tls_context(route: Route) -> ssl.SSLContext | None:
    """The context for all connections of a route; None for a plain one. Raises `RelayError`.

    Loading the system's authorities takes 30 ms: build it once. An own authority replaces them.
    """
    if route.security is Security.PLAIN:
        return None
    try:
        context = ssl.create_default_context(cadata=route.ca_pem)
    except (ssl.SSLError, ValueError) as error:
        raise RelayError(
            "E422",
            f"the certificates of the own authority for {route.relay} cannot be read",
            why="The file must hold one or more certificates in PEM form.",
            hint="MAILER_SMTP_CA_FILE=/path/ca.pem",
            cause=str(error),
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
