"""aiosmtpd behind STARTTLS, inside the event loop of the test; it knows no PIPELINING."""

import asyncio
from types import TracebackType
from typing import Any, Self, cast

from aiosmtpd.smtp import SMTP

from mailer.vocabulary.route import Route, Security
from tests.relays import certificates

REFUSED = "refused@aiosmtpd.test"
SPAM = b"this-smells-of-spam"


class AiosmtpdRelay:
    """Refuses the recipient `REFUSED` at RCPT and a message with `SPAM` at the dot, and counts the others."""

    def __init__(self) -> None:
        self.contents: list[bytes] = []
        self._certificates = certificates.good()
        self._server: asyncio.Server | None = None
        self._port = 0
        self._protocols: list[SMTP] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(self._accept, "127.0.0.1", 0)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for protocol in self._protocols:
            if protocol.transport is not None:
                cast("asyncio.Transport", protocol.transport).abort()
        await self._server.wait_closed()

    def route(self) -> Route:
        """The way here, for a client that trusts our authority."""
        return Route(host="127.0.0.1", port=self._port, security=Security.STARTTLS, ca_pem=self._certificates.ca_pem)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name for it
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if address == REFUSED:
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if SPAM in envelope.content:
            return "554 5.7.1 smells of spam"
        self.contents.append(envelope.content)
        return "250 2.0.0 Ok"

    def _accept(self) -> SMTP:
        context = self._certificates.server_context
        protocol = SMTP(self, hostname="aiosmtpd.test", require_starttls=True, tls_context=context)
        self._protocols.append(protocol)
        return protocol
