"""The SMTP dialogue of the capture server, on aiosmtpd: STARTTLS first, any login, and chaos by address."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session, TLSSetupException

from mailer.capture.chaos import LONGEST_DELAY, behaviour_of
from mailer.capture.mailbox import Captured
from mailer.vocabulary.reply import sanitise

LARGEST_MESSAGE = 32 * 2**20
"""Bytes, as SIZE announces."""

# aiosmtpd warns here of its own old attributes and of every client that stumbles, with addresses in it: not our log.
logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)


class Desk:
    """Decides the replies (aiosmtpd's handler), for all connections together; `take` gets every message."""

    def __init__(self, take: Callable[[Captured], None]) -> None:
        self._take = take
        self._seen: set[str] = set()

    async def handle_EHLO(  # noqa: N802 - aiosmtpd finds it by this name
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Offer PIPELINING as well: aiosmtpd reads commands in order from one stream, which is all it takes."""
        session.host_name = hostname
        return [responses[0], "250-PIPELINING", *responses[1:]]

    async def handle_RCPT(  # noqa: N802 - aiosmtpd finds it by this name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Refuse, defer or accept the recipient, as its address says."""
        behaviour = behaviour_of(address)
        is_due = not (behaviour.only_once and address in self._seen)
        if behaviour.only_once:
            self._seen.add(address)
        if behaviour.to_recipient is not None and is_due:
            return behaviour.to_recipient
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(  # noqa: N802 - aiosmtpd finds it by this name
        self, server: "Dialogue", session: Session, envelope: Envelope
    ) -> str:
        """Answer the final dot, as the most troublesome of the recipients says."""
        behaviours = [behaviour_of(address) for address in envelope.rcpt_tos]
        await asyncio.sleep(max(behaviour.delay for behaviour in behaviours))
        for behaviour in behaviours:
            if behaviour.to_message is not None:
                return behaviour.to_message
        # Nothing is awaited from here to the reply: what is counted as accepted was answered with 250.
        server.require_wire()
        drops = any(behaviour.drops for behaviour in behaviours)
        message = Captured(
            reverse_path=sanitise(envelope.mail_from or ""),
            recipients=tuple(sanitise(address) for address in envelope.rcpt_tos),
            content=bytes(envelope.original_content or b""),
            answered=not drops,
        )
        self._take(message)
        if drops:
            server.cut()
            # Losing the connection cancels us here, so that aiosmtpd never comes to a reply.
            await asyncio.get_running_loop().create_future()
        return f"250 2.0.0 Ok: queued as {message.id}"

    async def handle_exception(self, error: Exception) -> str:
        """A line aiosmtpd stumbles over is the client's to mend; nothing of it goes to a log."""
        return "500 5.5.2 cannot read that"


class Dialogue(SMTP):
    """One connection."""

    command_size_limit = 2048
    # The room of the reader: with aiosmtpd's one line in it, reading stops and starts for every line of a message.
    line_length_limit = 2**16

    def __init__(self, desk: Desk, context: ssl.SSLContext, open_ones: "set[Dialogue]") -> None:
        loop = asyncio.get_running_loop()
        super().__init__(
            desk,
            data_size_limit=LARGEST_MESSAGE,
            enable_SMTPUTF8=True,
            hostname="localhost",
            ident="mailer capture",
            tls_context=context,
            require_starttls=True,
            authenticator=lambda *_: AuthResult(success=True),
            timeout=LONGEST_DELAY + 300,
            loop=loop,
        )
        self.line_length_limit = SMTP.line_length_limit
        self.is_over = loop.create_future()
        self._open_ones = open_ones

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called twice: for the connection, and again when it is encrypted."""
        self._open_ones.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Called by asyncio, or by aiosmtpd when a handshake failed."""
        super().connection_lost(error)
        if self._handler_coroutine is not None:
            self._handler_coroutine.add_done_callback(self._end)

    def cut(self) -> None:
        """Close at once, without another word."""
        if self.transport is None or self.session is None:
            return
        within_handshake = self._tls_protocol is not None and self.session.ssl is None
        cast("asyncio.WriteTransport", self.transport).abort()
        if within_handshake:
            # asyncio tells nobody of a connection that is aborted in there.
            self.connection_lost(None)

    def require_wire(self) -> None:
        """Raise ConnectionResetError when the connection is known to be broken.

        The encrypted transport learns later that the one below it broke, and asyncio logs what is written meanwhile.
        """
        wire = self._original_transport or self.transport
        if wire is None or wire.is_closing():
            raise ConnectionResetError

    async def push(self, status: Any) -> None:
        """Send a reply; a 421 is the last one of its connection (RFC 5321 section 3.8)."""
        self.require_wire()
        await super().push(status)
        if str(status).startswith("421") and self.transport is not None:
            self.transport.close()

    async def _handle_client(self) -> None:
        # aiosmtpd lets these pass out of its task, where nobody asks for them and asyncio complains on stderr.
        with suppress(ConnectionError, ssl.SSLError, TLSSetupException):
            await super()._handle_client()

    def _end(self, task: "asyncio.Task[None]") -> None:
        self._open_ones.discard(self)
        if not self.is_over.done():
            self.is_over.set_result(None)
