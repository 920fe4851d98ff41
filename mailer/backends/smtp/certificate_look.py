"""A second look at a certificate that was not trusted, so that the error can say whose it is."""

import asyncio
import ssl
from typing import TYPE_CHECKING

import aiosmtplib

from mailer.backends.smtp.certificate import Shown, names_of
from mailer.backends.smtp.issuer import issuer_of
from mailer.backends.smtp.protection import tls_context
from mailer.backends.smtp.tls_trouble import UNKNOWN_AUTHORITY, WRONG_NAME
from mailer.vocabulary.errors import RelayError
from mailer.vocabulary.route import Security

if TYPE_CHECKING:
    from mailer.backends.smtp.client import Client
    from mailer.backends.smtp.connecting import Connector

LONGEST_LOOK = 5.0
"""Seconds for it: the error is known already and must not wait for its decoration."""


async def look_at_certificate(connector: "Connector", error: ssl.SSLCertVerificationError) -> Shown:
    """Connect once more up to the end of the TLS handshake, read the certificate, hang up. Never raises.

    Nothing is sent over it but EHLO and STARTTLS, and nothing is trusted because of it: the names are read only after
    the authority has been verified, the issuer of an unknown authority is what the server says and no more.
    """
    try:
        context = tls_context(connector.route)
        if context is None or error.verify_code not in (*WRONG_NAME, *UNKNOWN_AUTHORITY):
            return Shown()
        context.check_hostname = False
        if error.verify_code in UNKNOWN_AUTHORITY:
            context.verify_mode = ssl.CERT_NONE
        async with asyncio.timeout(min(LONGEST_LOOK, connector.connect_timeout)):
            return await _look(connector, context)
    except (aiosmtplib.SMTPException, OSError, UnicodeError, RelayError):
        return Shown()


async def _look(connector: "Connector", context: ssl.SSLContext) -> Shown:
    route = connector.route
    client = connector.client(None, tls_context=context, hostname=route.host, port=route.port)
    try:
        await client.connect()
        if route.security is Security.STARTTLS:
            await client.ehlo()
            await client.starttls()
        return _read(client, is_verified=context.verify_mode is ssl.CERT_REQUIRED)
    finally:
        client.close()


def _read(client: "Client", *, is_verified: bool) -> Shown:
    tls = client.get_transport_info("ssl_object")
    if is_verified:
        return Shown(names=names_of(tls.getpeercert() or {}))
    # Of a certificate that was not verified, Python gives only the bytes.
    return Shown(issuer=issuer_of(tls.getpeercert(binary_form=True) or b""))
