"""The sink: a relay that knows the truth. What it has accepted is on disk before it says 250, and nothing else is."""

import asyncio
import base64
import re
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.faults.acceptance import AcceptanceLog, Accepted, Denied, now_ms
from tests.faults.hanging_up import hang_up, reset
from tests.faults.steps import CutError, Hook, Moment, Step, nothing
from tests.relays.certificates import Certificates, good
from tests.relays.wire import Wire

_HEADER = re.compile(rb"^(message-id|to|x-marker): *(.*?)\r$", re.IGNORECASE | re.MULTILINE)
_REPLY = re.compile(rb"(\d{3})[ -](.*)\r\n")
_GOODBYE = b"421"


@dataclass(slots=True)
class _Session:
    number: int
    client: str = ""
    sender: str | None = None
    recipients: list[str] = field(default_factory=list)

    def forget(self) -> None:
        self.sender = None
        self.recipients = []


class Sink:
    """Listens on 127.0.0.1 with STARTTLS (unless it `is_plain`), PIPELINING and AUTH PLAIN.

    `hook` is asked at every step. `script` holds replies by step and address, each used once; the last one stays when
    `sticky` has the pair. A relay is in the process that looks on, so what kills workers does not hurt it.
    """

    def __init__(
        self,
        log: Path,
        *,
        hook: Hook = nothing,
        password: str | None = None,
        pipelining: bool = True,
        certificates: Certificates | None = None,
        is_plain: bool = False,
    ) -> None:
        self.certificates = certificates or good()
        self.log = AcceptanceLog(log)
        self.hook = hook
        self.script: dict[tuple[Step, str], deque[bytes]] = {}
        self.sticky: dict[tuple[Step, str], bytes] = {}
        self.counts: Counter[Step] = Counter()
        self.port = 0
        self._password = password
        self._is_plain = is_plain
        self._extensions = (b"SIZE 1000000", *((b"PIPELINING",) if pipelining else ()), b"ENHANCEDSTATUSCODES")
        self._context = self.certificates.server_context
        self._sessions = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await hang_up(self._server, self._tasks)
        self.log.close()

    async def quiet(self) -> None:
        """Wait until no session is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _accept(self) -> Wire:
        wire = Wire()
        self._sessions += 1
        task = asyncio.create_task(self._serve(wire, _Session(self._sessions)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return wire

    async def _serve(self, wire: Wire, session: _Session) -> None:
        try:
            await wire.connected()
            await self._talk(wire, session)
        except CutError as cut:
            if cut.reset:
                reset(wire.transport)
        except (EOFError, OSError):
            pass
        finally:
            wire.close()

    async def _talk(self, wire: Wire, session: _Session) -> None:
        wire.reply(await self._ask(Step.CONNECT, session) or b"220 sink ESMTP\r\n")
        while True:
            line = await wire.line()
            verb, _, argument = line.partition(b" ")
            match verb.upper():
                case b"EHLO":
                    session.client = argument.decode("ascii", "replace")
                    reply = await self._ask(Step.EHLO, session) or self._greeting(wire)
                case b"STARTTLS":
                    reply = await self._ask(Step.STARTTLS, session) or b""
                    if not reply:
                        wire.reply(b"220 2.0.0 go ahead\r\n")
                        await wire.protect(self._context)
                        continue
                case b"AUTH":
                    reply = await self._ask(Step.AUTH, session) or self._login(argument)
                case b"MAIL":
                    reply = await self._mail(session, argument)
                case b"RCPT":
                    reply = await self._rcpt(session, argument)
                case b"DATA":
                    reply = await self._data(wire, session)
                case b"RSET":
                    session.forget()
                    reply = b"250 2.0.0 Ok\r\n"
                case b"QUIT":
                    wire.reply(b"221 2.0.0 Bye\r\n")
                    return
                case _:
                    reply = b"502 5.5.1 what?\r\n"
            wire.reply(reply)
            if reply.startswith(_GOODBYE):
                return

    def _greeting(self, wire: Wire) -> bytes:
        words = [b"sink", *self._extensions]
        if not wire.is_protected and not self._is_plain:
            words.append(b"STARTTLS")
        elif self._password is not None:
            words.append(b"AUTH PLAIN")
        return b"".join(b"250%s%s\r\n" % (b" " if word is words[-1] else b"-", word) for word in words)

    def _login(self, argument: bytes) -> bytes:
        said = base64.b64decode(argument.partition(b" ")[2]).split(b"\0")[-1]
        right = self._password is not None and said == self._password.encode()
        return b"235 2.7.0 welcome\r\n" if right else b"535 5.7.8 no\r\n"

    async def _mail(self, session: _Session, argument: bytes) -> bytes:
        reply = await self._ask(Step.MAIL, session)
        if session.sender is not None:
            return b"503 5.5.1 nested MAIL\r\n"
        if not _is_no(reply):
            session.sender = _path(argument)
        return reply or b"250 2.1.0 Ok\r\n"

    async def _rcpt(self, session: _Session, argument: bytes) -> bytes:
        address = _path(argument)
        if session.sender is None:
            return b"503 5.5.1 MAIL first\r\n"
        reply = await self._ask(Step.RCPT, session, address)
        if not _is_no(reply):
            session.recipients.append(address)
        self._note_refusal(reply, [address])
        return reply or b"250 2.1.5 Ok\r\n"

    async def _data(self, wire: Wire, session: _Session) -> bytes:
        if not session.recipients:
            return (
                b"503 5.5.1 nobody to send to\r\n" if session.sender is None else b"554 5.5.1 no valid recipients\r\n"
            )
        address = session.recipients[0]
        if reply := await self._ask(Step.DATA, session, address):
            self._note_refusal(reply, session.recipients)
            return reply
        wire.reply(b"354 go on\r\n")
        await wire.something()
        await self._ask(Step.BODY, session, address)
        content = await wire.message()
        if (reply := await self._ask(Step.DOT, session, address)) is not None and _is_no(reply):
            self._note_refusal(reply, session.recipients)
            session.forget()
            return reply
        self._keep(session, content)
        session.forget()
        said = (
            await self._ask(Step.FSYNCED, session, address)
            or reply
            or b"250 2.0.0 Ok: queued as %d\r\n" % (self.counts[Step.FSYNCED])
        )
        wire.reply(said)
        wire.flush()
        await self._ask(Step.REPLIED, session, address)
        return b""

    def _keep(self, session: _Session, content: bytes) -> None:
        head = content.partition(b"\r\n\r\n")[0] + b"\r"
        headers = {name.lower().decode(): value.decode() for name, value in _HEADER.findall(head)}
        self.log.accept(
            [
                Accepted(
                    message_id=headers.get("message-id", ""),
                    recipient=recipient,
                    to=headers.get("to", ""),
                    marker=headers.get("x-marker", ""),
                    session=session.number,
                    client=session.client,
                    ms=now_ms(),
                )
                for recipient in session.recipients
            ]
        )

    def _note_refusal(self, reply: bytes | None, recipients: list[str]) -> None:
        if reply and reply[:1] == b"5" and (match := _REPLY.match(reply)):
            for recipient in recipients:
                self.log.deny(Denied(recipient, int(match[1]), match[2].decode()))

    async def _ask(self, step: Step, session: _Session, address: str = "") -> bytes | None:
        self.counts[step] += 1
        said = await self.hook(Moment(step, self.counts[step], session.number, session.client, address))
        if said is not None:
            return said
        if waiting := self.script.get((step, address)):
            return waiting.popleft()
        return self.sticky.get((step, address))


def _is_no(reply: bytes | None) -> bool:
    return reply is not None and reply[:1] in b"45"


def _path(argument: bytes) -> str:
    return argument.partition(b"<")[2].partition(b">")[0].decode()
