"""Opening a connection: TCP, greeting, EHLO, TLS, login; what comes out is a session."""

import re
import socket
import ssl
from typing import TYPE_CHECKING, Any

import aiosmtplib

from mailer.backends.smtp.authentication import log_in
from mailer.backends.smtp.capabilities import Capabilities
from mailer.backends.smtp.certificate_look import look_at_certificate
from mailer.backends.smtp.client import Client
from mailer.backends.smtp.conversation import Conversation
from mailer.backends.smtp.diagnosis import diagnose
from mailer.backends.smtp.protection import tls_context
from mailer.backends.smtp.raw_cause import verification_error
from mailer.backends.smtp.recording import RecordingClient
from mailer.backends.smtp.session import SmtpSession
from mailer.backends.smtp.transcript import Keep, Transcript
from mailer.failpoints import reached
from mailer.vocabulary.errors import RelayError, UsageError
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.route import Route, Security
from mailer.vocabulary.settings import SmtpSettings

if TYPE_CHECKING:
    from mailer.backends.smtp.certificate import Shown

_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


class Connector:
    """Opens connections of one route, all with the same TLS context and the same login.

    Raises `UsageError` for a login on a route without TLS (a password never goes over the network in clear text) or
    without a password (the relay would count it as a wrong one). `transcript` is told every line of every dialogue.
    """

    def __init__(
        self, route: Route, password: str | None, settings: SmtpSettings, *, transcript: Keep | None = None
    ) -> None:
        if route.user is not None and route.security is Security.PLAIN:
            raise UsageError(
                "E104",
                f"a login at {route.relay} needs TLS",
                why="The password would go over the network in clear text.",
                hint=f"smtp+starttls://{route.relay}",
            )
        if route.user is not None and password is None:
            raise UsageError("E113", f"no password for {route.user} at {route.relay}", hint="set MAILER_SMTP_PASSWORD")
        self.route = route
        self._password = password or ""
        self._settings = settings
        self._tls_context = tls_context(route)
        self._local_hostname = settings.local_hostname or _own_name()
        self._keep = transcript
        self._opened = 0
        self._shown: Shown | None = None

    async def open(self) -> SmtpSession:
        """Connect, protect and log in. Raises `RelayError`, which says whether it is `retryable`."""
        reached("before_connect")
        self._opened += 1
        transcript = None if self._keep is None else self.transcript(self._keep, label=f"#{self._opened} ")
        if transcript is not None:
            transcript.noted(f"connecting to {self.route.relay}")
        client = self.client(transcript, hostname=self.route.host, port=self.route.port)
        phase = Phase.CONNECT
        try:
            await client.connect()
            phase = Phase.EHLO
            await client.ehlo(timeout=self._settings.command_timeout)
            if self.route.security is Security.STARTTLS:
                phase = Phase.TLS
                await client.starttls(timeout=self._settings.connect_timeout)
                phase = Phase.EHLO
                # What was offered in clear text does not count any more (RFC 3207 section 4.2).
                await client.ehlo(timeout=self._settings.command_timeout)
            phase = Phase.AUTH
            if self.route.user is not None:
                await log_in(client, self.route.user, self._password, self._settings.command_timeout)
            return self._session(client, transcript)
        except BaseException as error:
            client.close()
            if not isinstance(error, aiosmtplib.SMTPException | OSError | UnicodeError):
                raise
            told = await self.explained(error, phase)
            if transcript is not None:
                transcript.noted(told.message)
            raise told from error

    async def explained(self, error: Exception, phase: Phase) -> RelayError:
        """What was raised while `phase` was going on, in words; for a certificate, with one second look at it."""
        if self._shown is None and (untrusted := verification_error(error)) is not None:
            self._shown = await look_at_certificate(self, untrusted)
        return diagnose(error, phase, self.route, self._settings, shown=self._shown)

    def transcript(self, keep: Keep, *, label: str = "") -> Transcript:
        """A transcript of one connection, which knows what has to be hidden."""
        return Transcript(keep, user=self.route.user, password=self._password, label=label)

    @property
    def connect_timeout(self) -> float:
        """Seconds for TCP, the greeting and the TLS handshake, each."""
        return self._settings.connect_timeout

    def client(
        self, transcript: Transcript | None, *, tls_context: ssl.SSLContext | None = None, **options: Any
    ) -> Client:
        """A client of this route that is not connected yet; another `tls_context` is for looking, not for sending."""
        options |= {
            # Without a name aiosmtplib asks DNS for one.
            "local_hostname": self._local_hostname,
            "timeout": self._settings.connect_timeout,
            "tls_context": tls_context or self._tls_context,
            "use_tls": self.route.security is Security.TLS,
            # By default STARTTLS is opportunistic; whoever connects makes it a condition, with a timeout of its own.
            "start_tls": False,
        }
        return Client(**options) if transcript is None else RecordingClient(transcript=transcript, **options)

    def _session(self, client: Client, transcript: Transcript | None) -> SmtpSession:
        transport = client.hand_over()
        # A connection that dies without a word must be noticed while it waits for a reply, too.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        tls = transport.get_extra_info("ssl_object")
        return SmtpSession(
            Conversation.adopt(transport, transcript),
            Capabilities.read(client.esmtp_extensions),
            self._settings,
            relay=self.route.relay,
            tls=tls.version() if tls else None,
        )


def _own_name() -> str:
    """The host name without a DNS query, or the address literal of RFC 5321 section 4.1.4 if it makes no domain."""
    name = socket.gethostname()
    return name if _DOMAIN.fullmatch(name) else "[127.0.0.1]"
