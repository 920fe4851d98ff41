"""A relay that keeps to RFC 5321 until it is told otherwise; each way it can betray us has a name."""

import asyncio
import base64
import hmac
import ssl
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from mailer.vocabulary.route import Route, Security
from tests.relays import certificates
from tests.relays.certificates import Certificates
from tests.relays.script import Misbehaviour, Script
from tests.relays.wire import Wire

CHALLENGE = b"<1896.697170952@scripted.test>"


@dataclass(frozen=True)
class Event:
    """One thing a client said. `verb` is a command, or `BODY` (its first bytes) or `DOT` (a whole message)."""

    connection: int
    verb: str
    argument: str
    is_protected: bool


@dataclass(frozen=True)
class Delivery:
    """A message this relay said 2xx to."""

    connection: int
    sender: str
    recipients: tuple[str, ...]
    content: bytes


@dataclass
class _Transaction:
    sender: str | None = None
    recipients: list[str] = field(default_factory=list)


class ScriptedRelay(Script):
    """An SMTP server on 127.0.0.1, inside the event loop of the test.

    Like Postfix it keeps MAIL open after a refused envelope, answers a pipelined group in one segment, and takes DATA
    without recipients for an error. A 250 to the dot is a `Delivery`.
    """

    def __init__(
        self,
        security: Security = Security.STARTTLS,
        *,
        pipelining: bool = True,
        size: int = 100_000_000,
        logins: dict[str, str] | None = None,
        mechanisms: str = "PLAIN LOGIN",
        shows: Certificates | None = None,
        extensions: tuple[str, ...] = ("8BITMIME", "ENHANCEDSTATUSCODES"),
        tls_context: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__()
        self.certificates = shows or certificates.good()
        self.offers_pipelining = pipelining
        self.events: list[Event] = []
        self.deliveries: list[Delivery] = []
        self.wires: list[Wire] = []
        self.port = 0
        self._security = security
        self._logins = logins or {}
        self._mechanisms = mechanisms
        self._extensions = (f"SIZE {size}", *(["PIPELINING"] if pipelining else []), *extensions)
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._context = tls_context or self.certificates.server_context

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(
            self._accept, "127.0.0.1", self.port, ssl=self._context if self._security is Security.TLS else None
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for wire in self.wires:
            wire.abort()
        await self._server.wait_closed()

    def route(self, host: str = "127.0.0.1", user: str | None = None, security: Security | None = None) -> Route:
        """The way here, for a client that trusts our authority."""
        return Route(
            host=host,
            port=self.port,
            security=security or self._security,
            user=user,
            ca_pem=None if self._security is Security.PLAIN else self.certificates.ca_pem,
        )

    def hang_up(self, farewell: bytes = b"") -> None:
        """Close every connection, now."""
        for wire in self.wires:
            wire.reply(farewell)
            wire.close()

    @property
    def connections(self) -> int:
        """How many were opened, ever."""
        return len(self.wires)

    @property
    def heard(self) -> bytes:
        """Every byte any client said."""
        return b"".join(bytes(wire.received) for wire in self.wires)

    def verbs(self, connection: int | None = None) -> list[str]:
        """The commands of one connection (from 1), or of all, in order."""
        return [event.verb for event in self.events if connection in (None, event.connection)]

    async def seen(self, verb: str, count: int = 1) -> None:
        """Wait until a command has come so many times."""
        while self.verbs().count(verb) < count:
            self._changed.clear()
            await self._changed.wait()

    async def left_by_everybody(self) -> None:
        """Wait until no connection is left."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _accept(self) -> Wire:
        wire = Wire()
        self.wires.append(wire)
        task = asyncio.get_running_loop().create_task(self._serve(wire, len(self.wires)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return wire

    async def _serve(self, wire: Wire, number: int) -> None:
        try:
            await wire.connected()
            await self._dialogue(wire, number)
        except (EOFError, OSError):
            pass
        finally:
            wire.close()

    async def _dialogue(self, wire: Wire, number: int) -> None:
        transaction = _Transaction()
        await self._say(wire, "GREETING", "", b"220 scripted.test ESMTP\r\n")
        while True:
            verb, _, argument = (await wire.line()).decode("utf-8", "replace").partition(" ")
            self._note(Event(number, verb, argument, wire.is_protected))
            match verb:
                case "EHLO":
                    await self._say(wire, verb, argument, self._offer(wire))
                case "STARTTLS":
                    await self._say(wire, verb, argument, b"220 2.0.0 go ahead\r\n" + self.injects_after_starttls)
                    await wire.protect(self._context)
                case "AUTH":
                    await self._authenticate(wire, argument)
                case "MAIL" if transaction.sender is None:
                    if await self._say(wire, verb, argument, b"250 2.1.0 Ok\r\n"):
                        transaction.sender = _path(argument)
                case "MAIL":
                    wire.reply(b"503 5.5.1 Error: nested MAIL command\r\n")
                case "RCPT" if transaction.sender is None:
                    wire.reply(b"503 5.5.1 Error: need MAIL command\r\n")
                case "RCPT":
                    if await self._say(wire, verb, argument, b"250 2.1.5 Ok\r\n"):
                        transaction.recipients.append(_path(argument))
                case "DATA":
                    if await self._say(wire, verb, argument, self._go_ahead(transaction)):
                        await self._message(wire, number, transaction)
                        transaction = _Transaction()
                case "RSET":
                    transaction = _Transaction()
                    await self._say(wire, verb, argument, b"250 2.0.0 Ok\r\n")
                case "QUIT":
                    await self._say(wire, verb, argument, b"221 2.0.0 Bye\r\n")
                    return
                case _:
                    wire.reply(b"500 5.5.2 unknown command\r\n")

    async def _message(self, wire: Wire, number: int, transaction: _Transaction) -> None:
        wire.flush()
        await wire.something()
        if self.stops_reading_the_body:
            wire.transport.pause_reading()
        self._note(Event(number, "BODY", "", wire.is_protected))
        await self._say(wire, "BODY", "", b"")
        content = await wire.message()
        self._note(Event(number, "DOT", "", wire.is_protected))
        usual = f"250 2.0.0 Ok: queued as {len(self.deliveries) + 1}\r\n".encode()
        if not transaction.recipients:
            usual = b"554 5.5.1 no valid recipients\r\n"
        if await self._say(wire, "DOT", content.decode("utf-8", "replace"), usual):
            unstuffed = (b"\r\n" + content).replace(b"\r\n.", b"\r\n")[2:]
            self.deliveries.append(Delivery(number, transaction.sender or "", tuple(transaction.recipients), unstuffed))

    async def _authenticate(self, wire: Wire, argument: str) -> None:
        mechanism, _, initial = argument.partition(" ")
        given = base64.b64decode(initial).decode()
        match mechanism:
            case "PLAIN":
                _, user, proof = given.split("\0")
                known = self._logins.get(user) == proof
            case "LOGIN":
                wire.reply(b"334 UGFzc3dvcmQ6\r\n")
                known = self._logins.get(given) == base64.b64decode(await wire.line()).decode()
            case _:  # CRAM-MD5 (RFC 2195)
                wire.reply(b"334 " + base64.b64encode(CHALLENGE) + b"\r\n")
                user, _, proof = base64.b64decode(await wire.line()).decode().partition(" ")
                known = hmac.new(self._logins.get(user, "").encode(), CHALLENGE, "md5").hexdigest() == proof
        usual = b"235 2.7.0 welcome\r\n" if known else b"535 5.7.8 authentication failed\r\n"
        await self._say(wire, "AUTH", argument, usual)

    async def _say(self, wire: Wire, at: str, argument: str, usual: bytes) -> bool:
        """Answer, as told or as usual; True when it was a yes."""
        told = self.told(at, argument)
        if told is None:
            told = Misbehaviour(at, usual)
        if told.reply is None:
            await wire.end()
            raise EOFError
        wire.reply(told.reply)
        if told.closes:
            raise EOFError
        return told.reply[:1] in (b"2", b"3")

    def _offer(self, wire: Wire) -> bytes:
        offers = ["scripted.test", *self._extensions]
        if self._logins:
            offers.append(f"AUTH {self._mechanisms}")
        if self._security is Security.STARTTLS and not wire.is_protected and not self.strips_starttls:
            offers.append("STARTTLS")
        lines = [f"250-{offer}\r\n" for offer in offers]
        lines[-1] = lines[-1].replace("-", " ", 1)
        return "".join(lines).encode()

    def _go_ahead(self, transaction: _Transaction) -> bytes:
        if transaction.recipients or self.answers_354_regardless:
            return b"354 End data with <CR><LF>.<CR><LF>\r\n"
        return b"554 5.5.1 Error: no valid recipients\r\n"

    def _note(self, event: Event) -> None:
        self.events.append(event)
        self._changed.set()


def _path(argument: str) -> str:
    return argument.partition("<")[2].partition(">")[0]
