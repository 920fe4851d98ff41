"""The ladder: every step from DNS to QUIT with its result, for the person who looks for what is wrong. No DATA."""

import asyncio
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import aiosmtplib

from mailer.backends.smtp.authentication import choose_mechanism, log_in
from mailer.backends.smtp.certificate import certificate_told
from mailer.backends.smtp.client import Client
from mailer.backends.smtp.connecting import Connector
from mailer.backends.smtp.diagnosis import diagnose
from mailer.backends.smtp.raw_cause import reply_of
from mailer.vocabulary.errors import FindingError, MailerError
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.reply import sanitise
from mailer.vocabulary.route import Route, Security
from mailer.vocabulary.step import Step

if TYPE_CHECKING:
    from mailer.vocabulary.settings import SmtpSettings

_CERTIFICATE = {"E421", "E422"}
_HANDSHAKE = {"E401", "E425"}
QUIT_TIMEOUT = 5.0


class Ladder:
    """Climbs to the relay once, with one login at most, and tells every step as soon as it is known.

    It opens the connection as `Connector` does, with the same TLS context and the same checks.
    """

    def __init__(
        self, route: Route, password: str | None, settings: "SmtpSettings", *, tell: Callable[[Step], None]
    ) -> None:
        self._connector = Connector(route, password, settings)
        self._route = route
        self._password = password
        self._settings = settings
        self._tell = tell
        self._step, self._phase = "DNS", Phase.CONNECT
        self.transcript: list[str] = []
        """The dialogue so far, secrets masked."""
        self._record = self._connector.transcript(self.transcript.append)
        self._client: Client | None = None

    async def climb(self, sender: str | None) -> None:
        """Take every step up to the first that fails. `sender` is offered in MAIL and in RCPT; None leaves both out."""
        try:
            await self._connect()
            await self._greet()
            await self._log_in()
            await self._offer(sender)
            await self._leave()
        except (aiosmtplib.SMTPException, OSError, UnicodeError) as error:
            await self._fail(error)
        finally:
            if self._client is not None:
                self._client.close()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._settings.connect_timeout):
            found = await loop.getaddrinfo(self._route.host, self._route.port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        self._done("DNS", ", ".join(addresses), then="TCP")
        started = time.monotonic()
        connection = await self._connected_to(addresses)
        self._done("TCP", f"{self._route.relay} in {(time.monotonic() - started) * 1000:.0f} ms", then="greeting")
        self._client = self._connector.client(self._record, hostname=self._route.host, sock=connection)
        greeting = await self._client.connect()
        if self._route.security is Security.TLS:
            self._done_tls("TLS")
        self._done("greeting", f"{greeting.code} {greeting.message}", then="EHLO")

    async def _connected_to(self, addresses: list[str]) -> socket.socket:
        """A connection to the first address that takes one. Raises the error of the last."""
        trouble: OSError = OSError("no address")
        for address in addresses:
            connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
            connection.setblocking(False)
            try:
                async with asyncio.timeout(self._settings.connect_timeout):
                    await asyncio.get_running_loop().sock_connect(connection, (address, self._route.port))
            except OSError as error:
                connection.close()
                trouble = error
            except BaseException:
                connection.close()
                raise
            else:
                return connection
        raise trouble

    async def _greet(self) -> None:
        client = self._said_to
        self._phase = Phase.EHLO
        await client.ehlo(timeout=self._settings.command_timeout)
        self._done("EHLO", _offer_of(client), then="STARTTLS")
        if self._route.security is not Security.STARTTLS:
            return
        self._phase = Phase.TLS
        await client.starttls(timeout=self._settings.connect_timeout)
        self._done_tls("STARTTLS")
        self._step, self._phase = "EHLO", Phase.EHLO
        await client.ehlo(timeout=self._settings.command_timeout)

    async def _log_in(self) -> None:
        self._step, self._phase = "AUTH", Phase.AUTH
        user, client = self._route.user, self._said_to
        if user is None:
            self._tell(Step(name="AUTH", detail="no user in the SMTP URL", skipped=True))
            return
        await log_in(client, user, self._password or "", self._settings.command_timeout)
        self._done("AUTH", f"{user} ({choose_mechanism(client.server_auth_methods).upper()})", then="MAIL")

    async def _offer(self, sender: str | None) -> None:
        self._phase = Phase.MAIL
        if sender is None or not sender.isascii():
            for name in ("MAIL", "RCPT"):
                self._tell(Step(name=name, detail="no sender to try: set campaign.sender", skipped=True))
            return
        for name, offer in (("MAIL", self._said_to.mail), ("RCPT", self._said_to.rcpt)):
            self._step = name
            reply = await offer(sender, timeout=self._settings.command_timeout)
            self._done(name, f"<{sender}> {reply.code} {reply.message}", then="QUIT")

    async def _leave(self) -> None:
        self._step = "QUIT"
        reply = await self._said_to.quit(timeout=QUIT_TIMEOUT)
        self._done("QUIT", f"{reply.code} {reply.message}".strip(), then="QUIT")

    @property
    def _said_to(self) -> Client:
        if self._client is None:
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        return self._client

    def _done(self, name: str, detail: str, *, then: str) -> None:
        self._tell(Step(name=name, detail=sanitise(self._record.masked(" ".join(detail.split())))))
        self._step = then

    def _done_tls(self, name: str) -> None:
        tls = self._said_to.get_transport_info("ssl_object")
        self._tell(Step(name=name, detail=tls.version() or ""))
        self._tell(Step(name="certificate", detail=certificate_told(tls.getpeercert() or {})))

    async def _fail(self, error: Exception) -> None:
        if isinstance(error, TimeoutError) and self._client is None:
            # In aiosmtplib's words, which tell it from a greeting that does not come.
            error = aiosmtplib.SMTPConnectTimeoutError(f"Timed out connecting to {self._route.relay}")
        if self._step in ("MAIL", "RCPT") and isinstance(error, aiosmtplib.SMTPResponseException):
            told: MailerError = _refused(error, self._step, self._route, self._settings)
        else:
            told = await self._connector.explained(error, self._phase)
        told.message = self._record.masked(told.message)
        told.why = told.why and self._record.masked(told.why)
        told.cause = told.cause and self._record.masked(told.cause)
        step = self._step
        if told.code in _CERTIFICATE:
            self._tell(Step(name="TLS" if self._route.security is Security.TLS else "STARTTLS", detail="begun"))
            step = "certificate"
        elif told.code in _HANDSHAKE:
            step = "TLS" if self._route.security is Security.TLS else "STARTTLS"
        self._tell(Step(name=step, error=told))


def _offer_of(client: aiosmtplib.SMTP) -> str:
    return ", ".join(sorted(name.upper() for name in client.esmtp_extensions)) or "no extensions"


def _refused(error: aiosmtplib.SMTPResponseException, step: str, route: Route, settings: "SmtpSettings") -> MailerError:
    """The relay serves us, but not this sender or recipient."""
    reply = reply_of(error)
    if reply.code == 530 and route.security is Security.PLAIN:
        return diagnose(error, Phase.MAIL, route, settings)
    who = "the sender" if step == "MAIL" else "a recipient"
    hint = "verify the sender with the provider, or set campaign.sender to an address of the account"
    if route.user is None:
        hint = "the server may want a login: put the user into the SMTP URL"
    code = "E436" if step == "MAIL" else "E437"
    return FindingError(
        code, f"{route.relay} refused {who}: {reply}", hint=hint, cause=str(reply), safe="Nothing was sent."
    )
