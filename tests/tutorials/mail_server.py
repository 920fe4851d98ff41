"""aiosmtpd as the tutorials meet mail servers: in clear text, with STARTTLS, with TLS from the start; with a login."""

import asyncio
from email import message_from_bytes, policy
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from mailer.vocabulary.route import Security
from tests.relays import certificates
from tests.relays.certificates import Certificates

if TYPE_CHECKING:
    import ssl
    from email.message import EmailMessage

SCHEMES = {Security.PLAIN: "smtp+insecure", Security.STARTTLS: "smtp+starttls", Security.TLS: "smtps"}
REFUSED = "unknown@example.com"


class MailServer:
    """A server in the event loop of the test; `port` 0 takes a free one. It refuses the recipient `REFUSED`.

    With `logins` (user to password) nobody sends without one of them; `users` are those who logged in.
    """

    def __init__(
        self,
        security: Security = Security.STARTTLS,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        shows: Certificates | None = None,
        logins: dict[str, str] | None = None,
    ) -> None:
        self.security = security
        self.host = host
        self.port = port
        self.certificates = shows or certificates.good()
        self.messages: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.users: list[str] = []
        self._logins = logins or {}
        self._connections: list[SMTP] = []

    @property
    def url(self) -> str:
        """How to get here, without a user."""
        return f"{SCHEMES[self.security]}://{self.host}:{self.port}"

    def url_for(self, user: str) -> str:
        """How to get here as somebody (whose name needs no percent-encoding)."""
        return self.url.replace("://", f"://{user}@")

    async def __aenter__(self) -> Self:
        """Listen. Raises OSError where the port is not to be had."""
        context = self.certificates.server_context if self.security is Security.TLS else None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, self.host, self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        for connection in self._connections:
            if connection.transport is not None:
                cast("asyncio.Transport", connection.transport).abort()
        await self._server.wait_closed()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name for it
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if self._logins and not session.authenticated:
            return "530 5.7.0 Authentication required"
        if address == REFUSED:
            return "550 5.1.1 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.messages.append(message_from_bytes(envelope.content.replace(b"\r\n", b"\n"), policy=policy.default))
        self.recipients += envelope.rcpt_tos
        return "250 2.0.0 Ok"

    def _accept(self) -> SMTP:
        tls: dict[str, Any] = {}
        if self.security is Security.STARTTLS:
            context: ssl.SSLContext = self.certificates.server_context
            tls = {"require_starttls": True, "tls_context": context}
        connection = SMTP(
            self,
            hostname="server.test",
            authenticator=self._authenticate,
            # It knows of STARTTLS only, and takes TLS from the start for clear text.
            auth_require_tls=self.security is Security.STARTTLS,
            **tls,
        )
        self._connections.append(connection)
        return connection

    def _authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> AuthResult:
        if not isinstance(given, LoginPassword):
            return AuthResult(success=False)
        user, password = given.login.decode(), given.password.decode()
        if self._logins.get(user) != password:
            return AuthResult(success=False, handled=False)
        self.users.append(user)
        return AuthResult(success=True)
