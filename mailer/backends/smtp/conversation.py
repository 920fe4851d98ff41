"""The dialogue on a connection that is open: bytes written, replies owed, read and waited for."""

import asyncio
from collections import deque

from mailer.backends.smtp.commands import LONE_DOT
from mailer.backends.smtp.reply_reader import MalformedReplyError, ReplyReader
from mailer.backends.smtp.transcript import Transcript
from mailer.failpoints import reached
from mailer.vocabulary.reply import Reply, sanitise

PIECE = 64 * 1024
"""Bytes of a body handed over at once, and the most that waits in the transport's buffer."""
STALL_TIMEOUT = 120.0
"""Seconds a body may stand still before the connection is cut."""


class ConversationError(Exception):
    """The dialogue is over: cut, timed out, or no longer SMTP. The text says which."""


class Conversation(asyncio.Protocol):
    """Asks in groups and reads the replies in order, which aiosmtplib's own protocol cannot (RFC 2920).

    It is put on the transport that aiosmtplib has connected, protected and logged in. Every reply must be owed: one
    that nobody asked for ends the conversation. A transcript is told every line. Not for concurrent use.
    """

    def __init__(self, transport: asyncio.Transport, transcript: Transcript | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._transcript = transcript
        self._reader = ReplyReader()
        self._replies: deque[Reply] = deque()
        self._owed = 0
        self._paused = False
        self._end: str | None = None
        self._is_leaving = False
        self._news: asyncio.Future[None] | None = None
        self._deadline = 0.0
        self._alarm: asyncio.TimerHandle | None = None
        self._lost = asyncio.Event()

    @classmethod
    def adopt(cls, transport: asyncio.Transport, transcript: Transcript | None = None) -> "Conversation":
        """Take over a transport; its former protocol hears nothing of it any more."""
        conversation = cls(transport, transcript)
        transport.set_protocol(conversation)
        # asyncio lets half a megabyte wait in front of TLS: too much to see whether a slow relay still reads.
        transport.set_write_buffer_limits(high=PIECE)
        return conversation

    @property
    def is_open(self) -> bool:
        """True until the relay or we ended it."""
        return self._end is None and not self._transport.is_closing()

    @property
    def end(self) -> str:
        """Why it is over."""
        return self._end or "connection closed"

    @property
    def has_reply(self) -> bool:
        """True when a reply is there to be read without waiting."""
        return bool(self._replies)

    async def ended(self) -> None:
        """Wait until the connection is gone."""
        await self._lost.wait()

    def ensure_open(self) -> None:
        """Raise `ConversationError` when it is over."""
        if not self.is_open:
            raise ConversationError(self.end)

    def write(self, commands: bytes, *, replies: int) -> None:
        """Write commands that are answered by so many replies. Raises `ConversationError` when it is over."""
        self.ensure_open()
        self._owed += replies
        if self._transcript is not None:
            self._transcript.said(commands)
        self._transport.write(commands)

    def reply_at_hand(self) -> Reply | None:
        """The next reply, if it is there already."""
        return self._replies.popleft() if self._replies else None

    async def reply(self, timeout: float) -> Reply:
        """The next reply, within `timeout` seconds, however slowly its bytes come.

        Replies that were complete before the conversation ended are still given. Raises `ConversationError`.
        """
        deadline = self._loop.time() + timeout
        while not self._replies:
            self.ensure_open()
            await self._news_until(deadline)
            if not self._replies and self._loop.time() >= deadline:
                self._finish(f"no reply within {timeout:g} s")
        return self._replies.popleft()

    async def send(self, body: bytes, then: bytes = b"", *, replies: int = 0) -> bool:
        """Hand over a dot-stuffed message as fast as the relay reads it.

        `then` are commands that go out with its end, and are answered by so many replies.
        False when the relay answered before the end. Raises `ConversationError`, also after `STALL_TIMEOUT` seconds
        without progress.
        """
        if self._transcript is not None:
            self._transcript.said_message(len(body) - len(LONE_DOT))
        size, start = len(body), 0
        while start < size:
            if self._paused:
                await self._writable()
            if self._replies:
                return False
            self.ensure_open()
            end = start + PIECE
            if end < size:
                self._transport.write(body[start:end])
            else:
                self._owed += replies
                self._transport.write(body[start:] + then)
            if start <= size // 2 < end:
                reached("body_half")
            start = end
        if self._transcript is not None:
            self._transcript.said(LONE_DOT + then)
        if self._paused:
            await self._writable()
        reached("dot_written")
        return not self._paused

    async def quit(self, timeout: float) -> None:
        """Say QUIT, hear the answer, close: `timeout` seconds at most, never an error."""
        deadline = self._loop.time() + timeout
        try:
            self.write(b"QUIT\r\n", replies=1)
            self._is_leaving = True
            while self._owed or self._replies:
                await self.reply(deadline - self._loop.time())
            self._end = "closed with QUIT"
            self._transport.close()
            async with asyncio.timeout_at(deadline):
                await self._lost.wait()
        except (ConversationError, TimeoutError):
            pass
        finally:
            self.abort("closed with QUIT")

    def abort(self, cause: str) -> None:
        """Close at once, without a word. May be called twice."""
        if self._end is None and not self._is_leaving and self._transcript is not None:
            self._transcript.noted(cause)
        self._end = self._end or cause
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read replies; what nobody asked for, or nobody can read, ends the conversation."""
        if self._end is not None:
            return
        try:
            for reply in self._reader.feed(data):
                if self._owed == 0:
                    self._finish(f"unsolicited reply: {reply}")
                    return
                if self._transcript is not None:
                    self._transcript.heard(reply.code, [reply.words])
                self._owed -= 1
                self._replies.append(reply)
                if reply.code == 354:
                    self._owed += 1  # the verdict on the message; it may come before the message is complete
        except MalformedReplyError as error:
            self._finish(str(error))
        self._tell()

    def eof_received(self) -> bool:
        """The relay has closed its side; SMTP has no half-open state worth keeping."""
        self._finish("connection closed by the relay")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, whoever ended it."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._finish(f"connection lost: {sanitise(str(exc))}" if exc else "connection closed")
        self._lost.set()

    def pause_writing(self) -> None:
        """The relay reads more slowly than we write."""
        self._paused = True

    def resume_writing(self) -> None:
        """The relay has caught up."""
        self._paused = False
        self._tell()

    async def _writable(self) -> None:
        while self._paused and not self._replies:
            self.ensure_open()
            waiting = self._transport.get_write_buffer_size()
            deadline = self._loop.time() + STALL_TIMEOUT
            await self._news_until(deadline)
            if self._loop.time() >= deadline and self._transport.get_write_buffer_size() >= waiting:
                self._finish(f"body stood still for {STALL_TIMEOUT:g} s")

    def _news_until(self, deadline: float) -> "asyncio.Future[None]":
        """To be awaited until something happens: a reply, the end, room to write, or the deadline."""
        # A bare future, and one timer that goes on from wait to wait: asyncio.timeout() costs a message much more.
        self._news = news = self._loop.create_future()
        self._deadline = deadline
        if self._alarm is None or self._alarm.when() > deadline:
            self._set_alarm()
        return news

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._loop.call_at(self._deadline, self._ring)

    def _ring(self) -> None:
        """The alarm goes off; whoever waits now may have begun later, and waits longer."""
        self._alarm = None
        if self._news is None or self._news.done():
            return
        if self._loop.time() < self._deadline:
            self._set_alarm()
        else:
            self._tell()

    def _finish(self, cause: str) -> None:
        if self._end is None:
            self.abort(cause)
        self._tell()

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)
