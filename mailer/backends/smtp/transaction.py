"""One mail transaction: MAIL, RCPT, DATA and the message (RFC 5321 section 3.3)."""

import asyncio
from contextlib import suppress
from enum import Enum, auto
from time import monotonic

from mailer.backends.smtp import commands
from mailer.backends.smtp.conversation import Conversation, ConversationError
from mailer.failpoints import reached
from mailer.interfaces.session import Permit, PermitUnavailableError
from mailer.vocabulary.envelope import MailData
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.reply import Reply
from mailer.vocabulary.settings import SmtpSettings
from mailer.vocabulary.transmission import Answer, Answered, Interrupted, Withheld

# Bound once: to look up the member of an enum takes Python 3.11 as long as a call, and a message asks for a dozen.
MAIL, RCPT, DATA, BODY, DOT = Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.BODY, Phase.DOT

COURTESY_TIMEOUT = 5.0
"""Seconds for a reply that decides nothing any more: to RSET, to a lone dot."""


class Aftermath(Enum):
    """How a transaction leaves the connection."""

    READY = auto()
    """The relay took the message and waits for the next."""
    NEEDS_RESET = auto()
    """The relay said no; the transaction may still be open on its side."""
    SPOILED = auto()
    """Nobody knows what the relay expects next, or it has said goodbye."""


class Transaction:
    """Offers one message, and knows at any moment in which phase and with which answers.

    With PIPELINING the envelope goes out in one write (RFC 2920), else command by command. The same code reads the
    replies in the same order, so both ways come to the same answers. An offer that `is_announced` has been said with
    the end of the message before; `following` is said with the end of this one.
    """

    def __init__(
        self,
        conversation: Conversation,
        offer: commands.Offer,
        data: MailData,
        settings: SmtpSettings,
        *,
        is_pipelined: bool,
        is_announced: bool = False,
        following: commands.Offer | None = None,
    ) -> None:
        self.phase = MAIL
        self.answers: dict[str, Answer] = {}
        self.aftermath = Aftermath.NEEDS_RESET
        self.refusals = 0
        """How often the relay said no; relays count it too, and hang up."""
        self.seconds = 0.0
        """From MAIL to the last reply."""
        self.has_announced = False
        """True when the envelope of the next message was said, and the connection is good for it."""
        self._conversation = conversation
        self._data = data
        self._offer = offer
        self._has_accepted = False
        self._is_pipelined = is_pipelined
        self._settings = settings
        self._is_announced = is_announced
        self.following = following
        """What announces the next message, if it is to be announced."""

    async def run(self, permit: Permit) -> None:
        """Carry it through. Afterwards every recipient has its answer, and no permit is under way any more.

        Only cancellation raises (and an error of the permit that is none of its own); `phase` tells how far it came.
        """
        started = monotonic()  # uvloop's own clock stands still within a turn
        permission = _ask(permit)
        try:
            try:
                if self._is_pipelined and not self._is_announced:
                    self._conversation.write(self._offer.words, replies=self._offer.replies)
                if await self._offer_envelope(permission):
                    if await permission:
                        await self._hand_over_message()
                    else:
                        self._withhold("sending mark refused")
            except PermitUnavailableError:
                self._withhold("ledger unavailable")
            except _ServiceClosingError as closing:
                self._answer_rest(Answered(self.phase, closing.reply))
                self.aftermath = Aftermath.SPOILED
            except ConversationError as error:
                self._interrupt(error)
            self.seconds = monotonic() - started
            if not permission.done() or permission.exception() is not None:
                with suppress(PermitUnavailableError):
                    await permission
        except BaseException:
            permission.cancel()
            raise

    async def _offer_envelope(self, permission: asyncio.Future[bool]) -> bool:
        """True when the relay waits for the message of those it has accepted, if we may send it."""
        mail = self._at_hand(MAIL) or await self._exchange(MAIL, self._offer.mail)
        if not mail.is_positive:
            self._distrust(mail)
            self._answer_rest(Answered(MAIL, mail))
            if self._is_pipelined:
                await self._read_consequences()
            return False
        for address, command in self._offer.rcpts.items():
            rcpt = self._at_hand(RCPT) or await self._exchange(RCPT, command)
            if rcpt.is_positive:
                self._has_accepted = True
            else:
                self._distrust(rcpt)
                self.answers[address] = Answered(RCPT, rcpt)
        reached("after_rcpt")
        if not self._is_pipelined and not (self._has_accepted and await permission):
            # Nobody is waiting for the message yet: it costs no more than an RSET.
            return self._has_accepted
        data = self._at_hand(DATA) or await self._exchange(DATA, commands.DATA)
        if not self._has_accepted:
            # A no is a consequence of the refused RCPTs, and nobody is left to hear it (RFC 2920 section 3.1).
            if data.is_intermediate:
                await self._end_without_message()
            return False
        if not data.is_intermediate:
            self._distrust(data)
            self._answer_rest(Answered(DATA, data))
            return False
        return True

    async def _read_consequences(self) -> None:
        """Read what a refused MAIL entails, for the sake of what comes after."""
        for command in self._offer.rcpts.values():
            await self._exchange(RCPT, command)
        data = await self._exchange(DATA, commands.DATA)
        if data.is_intermediate:
            self.aftermath = Aftermath.SPOILED

    async def _end_without_message(self) -> None:
        """Answer a 354 that came although no recipient was accepted: the lone dot RFC 2920 section 3.1 asks for."""
        self.aftermath = Aftermath.SPOILED
        self._conversation.write(commands.LONE_DOT, replies=0)  # the 354 has promised one
        await self._conversation.reply(min(COURTESY_TIMEOUT, self._settings.command_timeout))

    def _withhold(self, cause: str) -> None:
        self._answer_rest(Withheld(cause))
        if self.phase is DATA:
            # A 354 cannot be taken back, and RSET would be read as the text of the message.
            self.aftermath = Aftermath.SPOILED

    async def _hand_over_message(self) -> None:
        complete = False
        # A verdict that came along with the 354 is one, and saves the message.
        if not self._conversation.has_reply:
            self._conversation.ensure_open()
            self.phase = BODY
            then = self.following
            complete = await self._conversation.send(
                self._data, then.words if then is not None else b"", replies=then.replies if then is not None else 0
            )
            if complete:
                self.phase = DOT
        self.aftermath = Aftermath.SPOILED
        verdict = await self._conversation.reply(self._settings.reply_timeout)
        reached("reply_read")
        if verdict.is_intermediate or (verdict.is_positive and not complete):
            raise ConversationError(f"unexpected reply before the end of the message: {verdict}")
        self._answer_rest(Answered(DOT, verdict))
        if verdict.is_positive:
            self.aftermath = Aftermath.READY
        else:
            self.refusals += 1
            if complete and not (verdict.code == 421 or 500 <= verdict.code <= 504):
                self.aftermath = Aftermath.NEEDS_RESET
        self.has_announced = self.following is not None and self.aftermath is not Aftermath.SPOILED

    def _at_hand(self, phase: Phase) -> Reply | None:
        """The reply to a command that went out with others, if it is there already, as most are."""
        reply = self._conversation.reply_at_hand()
        return None if reply is None else self._heard(phase, reply)

    async def _exchange(self, phase: Phase, command: bytes) -> Reply:
        """Say a command, unless it went out with the others, and read its reply."""
        self.phase = phase
        if not self._is_pipelined:
            self._conversation.write(command, replies=1)
        return self._heard(phase, await self._conversation.reply(self._settings.command_timeout))

    def _heard(self, phase: Phase, reply: Reply) -> Reply:
        self.phase = phase
        code = reply.code
        if code == 421:
            raise _ServiceClosingError(reply)
        if code >= 400:
            self.refusals += 1
        elif code != 354 if phase is DATA else code >= 300 or code in (211, 214):
            # A reply that this command cannot have: then replies and commands are out of step.
            raise ConversationError(f"unexpected reply to {phase.upper()}: {reply}")
        return reply

    def _distrust(self, reply: Reply) -> None:
        # "Bad sequence of commands": relay and we no longer agree where we are (a transaction left open, a reply lost).
        if reply.code == 503:
            self.aftermath = Aftermath.SPOILED

    def _answer_rest(self, answer: Answer) -> None:
        for address in self._offer.rcpts:
            self.answers.setdefault(address, answer)

    def _interrupt(self, error: ConversationError) -> None:
        self._answer_rest(Interrupted(self.phase, str(error), self.phase.may_have_delivered))
        self.aftermath = Aftermath.SPOILED


class _ServiceClosingError(Exception):
    """421 (RFC 5321 section 3.8): the answer for everybody who has none yet, and the end of the connection."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


def _ask(permit: Permit) -> asyncio.Future[bool]:
    try:
        asked = permit()
        return asked if isinstance(asked, asyncio.Future) else asyncio.ensure_future(asked)
    except PermitUnavailableError as error:
        unavailable = asyncio.get_running_loop().create_future()
        unavailable.set_exception(error)
        return unavailable
