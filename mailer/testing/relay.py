"""A relay in memory: takes every message, but for the addresses that a test has other plans for."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mailer.capture.chaos import ORDINARY, Behaviour, behaviour_of
from mailer.interfaces.session import Permit, PermitUnavailableError, Session
from mailer.policy.addressing import key_of, parse_address
from mailer.policy.dot_stuffing import unstuff
from mailer.vocabulary.envelope import Envelope, MailData, MailObject
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.reply import Reply
from mailer.vocabulary.transmission import Answer, Answered, Interrupted, Transmission, Withheld

NAME = "memory:25"


@dataclass(frozen=True, slots=True)
class Taken:
    """One message, with the envelope it came in."""

    envelope: Envelope
    content: bytes


class MemoryRelay:
    """Implements `interfaces.session.SessionPool`."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        """What it has accepted, and what it has dropped without an answer."""
        self._plans: dict[str, Behaviour] = {}
        self._done: set[str] = set()
        """Keys of addresses that were refused the one time they were to be."""

    def plan(self, address: str, behaviour: Behaviour) -> None:
        """How an address is treated from now on. Raises `AddressError`."""
        key = parse_address(address).key
        self._plans[key] = behaviour
        self._done.discard(key)

    @asynccontextmanager
    async def session(self, borrower: str) -> AsyncIterator[Session]:
        """Lend a session; there is always one."""
        yield MemorySession(self)

    def is_wanted(self, borrower: str, since: float) -> bool:
        """Nobody waits for a session."""
        return False

    async def close(self) -> None:
        """Nothing is open."""

    def behaviour(self, address: str) -> Behaviour:
        """How an address is treated this time: as it was planned, or as `mailer capture` treats it."""
        key = key_of(address)
        behaviour = self._plans.get(key) or behaviour_of(address)
        if not behaviour.only_once:
            return behaviour
        if key in self._done:
            return ORDINARY
        self._done.add(key)
        return behaviour


class MemorySession:
    """Implements `interfaces.session.Session`."""

    is_reusable = True
    looks_ahead = False
    size_limit = None
    offers_smtputf8 = True

    def __init__(self, relay: MemoryRelay) -> None:
        self._relay = relay
        self.phase = Phase.MAIL
        self._uses = 0

    async def transmit(
        self, envelope: Envelope, data: MailData, permit: Permit, following: MailObject | None = None
    ) -> Transmission:
        """One transaction, as a relay would answer it."""
        begun = time.monotonic()
        self._uses += 1
        self.phase = Phase.RCPT
        plans = {address: self._relay.behaviour(address) for address in envelope.recipients}
        answers: dict[str, Answer] = {
            address: Answered(Phase.RCPT, _reply(plan.to_recipient))
            for address, plan in plans.items()
            if plan.to_recipient is not None
        }
        accepted = tuple(address for address in envelope.recipients if address not in answers)
        if accepted:
            end = await self._body(Envelope(envelope.reverse_path, accepted), plans, unstuff(data), permit)
            answers |= dict.fromkeys(accepted, end)
        return Transmission(
            answers=answers, relay=NAME, tls=None, seconds=time.monotonic() - begun, connection_use=self._uses
        )

    async def _body(self, envelope: Envelope, plans: dict[str, Behaviour], content: bytes, permit: Permit) -> Answer:
        self.phase = Phase.DATA
        try:
            if not await permit():
                return Withheld("the `sending` mark was refused")
        except PermitUnavailableError as error:
            return Withheld(str(error))
        self.phase = Phase.DOT
        mine = [plans[address] for address in envelope.recipients]
        if (refusal := next((plan.to_message for plan in mine if plan.to_message is not None), None)) is not None:
            return Answered(Phase.DOT, _reply(refusal))
        self._relay.taken.append(Taken(envelope, content))
        if any(plan.drops for plan in mine):
            return Interrupted(Phase.DOT, "connection lost after the message", body_begun=True)
        return Answered(Phase.DOT, _reply(f"250 2.0.0 Ok: queued as {len(self._relay.taken)}"))

    async def close(self) -> None:
        """Nothing is open."""


def _reply(line: str) -> Reply:
    return Reply.read(int(line[:3]), [line[4:].encode()])
