"""A session with the relay: one connection, one mail transaction after the other."""

import asyncio
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from types import TracebackType
from typing import Self

from mailer.backends.smtp import commands, smtplib_contract
from mailer.backends.smtp.capabilities import Capabilities
from mailer.backends.smtp.conversation import Conversation, ConversationError
from mailer.backends.smtp.fitness import find_unsendable
from mailer.backends.smtp.transaction import COURTESY_TIMEOUT, Aftermath, Transaction
from mailer.interfaces.session import Permit
from mailer.policy.dot_stuffing import dot_stuff
from mailer.vocabulary.envelope import Envelope, MailData, MailObject
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.settings import SmtpSettings
from mailer.vocabulary.transmission import Answer, Transmission, Unsendable

QUIT_TIMEOUT = 2.0
"""Seconds for the goodbye."""
WEARING = 0.9
"""The part of its messages or its age after which a connection that is still good had better be replaced."""
MAX_REFUSALS = 8
"""Refusals in a row after which a connection is replaced. Postfix counts every 4xx and 5xx since the last message it
took, and a pipelined message whose only recipient is refused brings two, RCPT and DATA: it answers the tenth a second
late, and says 421 after the twentieth."""


class SmtpSession:
    """One connection to the relay, greeted, protected and logged in. Not for concurrent use.

    `Connector.open` makes one. After a clean end of a transaction it `is_reusable`; any other end closes it.
    """

    def __init__(
        self,
        conversation: Conversation,
        capabilities: Capabilities,
        settings: SmtpSettings,
        *,
        relay: str,
        tls: str | None,
    ) -> None:
        self._conversation = conversation
        self._capabilities = capabilities
        self._settings = settings
        self._relay = relay
        self._tls = tls
        self._is_pipelined = capabilities.pipelining and settings.pipelining != "off"
        self._looks_ahead = capabilities.pipelining and settings.pipelining == "full"
        self._clock = asyncio.get_running_loop().time
        self._opened = self._clock()
        self._transaction: Transaction | None = None
        self._uses = 0
        self._refusals = 0
        self._owes_reset_reply = False
        self._announced: tuple[Envelope, commands.Offer] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def phase(self) -> Phase:
        """How far the transaction under way, or the last one, has come."""
        return Phase.AUTH if self._transaction is None else self._transaction.phase

    @property
    def is_reusable(self) -> bool:
        """True after a clean end of a transaction, within the limits of age, count and refusals in a row."""
        return (
            self._conversation.is_open
            and self._uses < self._settings.max_messages_per_connection
            and self._clock() - self._opened < self._settings.max_connection_age
            and self._refusals < MAX_REFUSALS
        )

    @property
    def owes_message(self) -> bool:
        """True when the envelope of a message was said that has not been transmitted."""
        return self._announced is not None

    @property
    def is_wearing(self) -> bool:
        """True when one of those limits will soon be reached."""
        return (
            self._uses >= WEARING * self._settings.max_messages_per_connection
            or self._clock() - self._opened >= WEARING * self._settings.max_connection_age
        )

    @property
    def size_limit(self) -> int | None:
        """The relay's SIZE in bytes (RFC 1870), or None where it names no limit."""
        return self._capabilities.size_limit

    @property
    def offers_smtputf8(self) -> bool:
        """True where the relay can carry addresses that are not ASCII (RFC 6531)."""
        return self._capabilities.smtputf8

    @property
    def looks_ahead(self) -> bool:
        """True when the envelope of the next message goes out with the end of the one before (RFC 2920 section 3.1)."""
        return self._looks_ahead and self._uses + 1 < self._settings.max_messages_per_connection

    async def transmit(
        self, envelope: Envelope, data: MailData, permit: Permit, following: MailObject | None = None
    ) -> Transmission:
        """Run one mail transaction.

        Every end of it is a value; only cancellation raises, after which the connection is closed and the caller
        judges by `phase`. Where the session `looks_ahead`, the envelope of `following` is said with the end of this
        message, and nothing else may be transmitted next.
        """
        offer = self._take_announced(envelope)
        is_announced = offer is not None
        unsendable: dict[str, Unsendable] = {}
        if offer is None:
            unsendable = find_unsendable(envelope, data, self._capabilities)
            if unsendable:
                rest = tuple(address for address in envelope.recipients if address not in unsendable)
                envelope = Envelope(envelope.reverse_path, rest)
            if not envelope.recipients:
                return self._transmission(unsendable)
            offer = commands.Offer.of(envelope, data, self._capabilities)
        transaction = self._transaction = Transaction(
            self._conversation,
            offer,
            data,
            self._settings,
            is_pipelined=self._is_pipelined,
            is_announced=is_announced,
            following=None if following is None else self._offer_ahead(following),
        )
        self._uses += 1
        try:
            if self._owes_reset_reply:
                await self.freshen()
            await transaction.run(permit)
        except BaseException:
            self._conversation.abort("cancelled")
            raise
        self._settle(transaction)
        if transaction.has_announced and following is not None and transaction.following is not None:
            self._announced = following.envelope, transaction.following
        if unsendable:
            transaction.answers.update(unsendable)
        return self._transmission(transaction.answers, transaction.seconds)

    def _transmission(self, answers: Mapping[str, Answer], seconds: float = 0.0) -> Transmission:
        return Transmission(
            answers=answers, relay=self._relay, tls=self._tls, seconds=seconds, connection_use=max(self._uses, 1)
        )

    def _take_announced(self, envelope: Envelope) -> commands.Offer | None:
        """How this envelope was said with the end of the message before, if it was."""
        announced, self._announced = self._announced, None
        if announced is None:
            return None
        if announced[0] is not envelope:
            # A transaction under way cannot be taken back: RSET would be read as the text of its message.
            self._conversation.abort("another message was announced")
            return None
        return announced[1]

    def _offer_ahead(self, following: MailObject) -> commands.Offer | None:
        """What announces the next message; None where it cannot be announced."""
        if not self.looks_ahead or find_unsendable(following.envelope, following.data, self._capabilities):
            return None
        return commands.Offer.of(following.envelope, following.data, self._capabilities)

    def _settle(self, transaction: Transaction) -> None:
        """Leave the connection as the transaction demands."""
        match transaction.aftermath:
            case Aftermath.READY:
                self._refusals = 0
            case Aftermath.NEEDS_RESET:
                self._refusals += transaction.refusals
                if not transaction.has_announced:
                    self._begin_reset()
            case Aftermath.SPOILED:
                self._conversation.abort("transaction spoiled")

    def _begin_reset(self) -> None:
        # Postfix keeps MAIL open after a refused envelope and would answer the next with "nested MAIL". The reply is
        # left for `freshen`: a relay that hangs on RSET must not keep the refusal from being recorded.
        if self.is_reusable:
            self._conversation.write(commands.RSET, replies=1)
            self._owes_reset_reply = True

    async def freshen(self) -> bool:
        """Collect the reply to an RSET, if there is one to come. False when the connection is of no use any more."""
        if self._owes_reset_reply:
            try:
                reply = await self._conversation.reply(min(COURTESY_TIMEOUT, self._settings.command_timeout))
            except ConversationError:
                return False
            self._owes_reset_reply = False
            if not reply.is_positive:
                self._conversation.abort(f"RSET refused: {reply}")
        return self._conversation.is_open

    async def ended(self) -> None:
        """Wait until the connection is gone, whoever closes it."""
        await self._conversation.ended()

    async def close(self) -> None:
        """Say QUIT (2 s at most) and close. May be called twice."""
        if self._announced is not None:
            # Behind a 354 it would be read as the text of a message.
            self._conversation.abort("closed before the message that was announced")
        elif self._conversation.is_open:
            await self._conversation.quit(QUIT_TIMEOUT)

    async def sendmail(
        self, sender: str, recipients: str | Sequence[str], content: bytes
    ) -> tuple[dict[str, tuple[int, str]], str]:
        """Send as `smtplib.SMTP.sendmail` would: the refused recipients, and the relay's last words.

        Args:
            sender: The reverse-path.
            recipients: One address or several.
            content: The message; line ends become CRLF.

        Raises:
            aiosmtplib.SMTPSenderRefused: MAIL was refused.
            aiosmtplib.SMTPRecipientsRefused: Nobody was accepted.
            aiosmtplib.SMTPDataError: The message was refused.
            aiosmtplib.SMTPServerDisconnected: The connection failed; the message may have been accepted.
            aiosmtplib.SMTPNotSupported: The relay cannot carry it; nothing was said.
            ValueError: An address cannot stand in a command; nothing was said.
        """
        envelope = Envelope(sender, (recipients,) if isinstance(recipients, str) else tuple(recipients))
        data = dot_stuff(smtplib_contract.with_crlf(content))
        smtplib_contract.ensure_sendable(find_unsendable(envelope, data, self._capabilities))
        transmission = await self.transmit(envelope, data, smtplib_contract.always)
        return smtplib_contract.conclude(transmission, sender)

    async def send_message(
        self, message: EmailMessage, sender: str | None = None, recipients: str | Sequence[str] | None = None
    ) -> tuple[dict[str, tuple[int, str]], str]:
        """Send as `smtplib.SMTP.send_message` would: addresses from the headers unless given, Bcc left out.

        Raises ValueError where sender or recipients are missing, and what `sendmail` raises.
        """
        sender = sender or smtplib_contract.sender_of(message)
        recipients = recipients or smtplib_contract.recipients_of(message)
        addresses = (sender, recipients) if isinstance(recipients, str) else (sender, *recipients)
        utf8 = not all(address.isascii() for address in addresses)
        content = smtplib_contract.flatten(message, utf8=utf8, eight_bit=self._capabilities.eight_bit_mime)
        return await self.sendmail(sender, recipients, content)
