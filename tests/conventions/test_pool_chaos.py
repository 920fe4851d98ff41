"""A pool among relays that break, hang and refuse, with borrowers that give up: whatever happens, it goes on."""

import asyncio
import contextlib
import random
from collections import Counter
from dataclasses import replace

import pytest

from mailer.backends.smtp.pool import SmtpPool
from mailer.vocabulary.errors import RelayError
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.transmission import Answered, Transmission
from tests.backends.smtp.sending import SETTINGS, send
from tests.relays.scripted import ScriptedRelay
from tests.relays.wire import Wire
from tests.thorough import first

MESSAGES = 120
CONNECTIONS = 4


class Unmoved(ScriptedRelay):
    """A relay that does not mind who leaves when, not even within the handshake."""

    async def _serve(self, wire: Wire, number: int) -> None:
        with contextlib.suppress(AssertionError):
            await super()._serve(wire, number)

    def behave(self) -> None:
        """Forget the trouble that nobody has met yet."""
        self._misbehaviours.clear()


def make_trouble(relay: Unmoved, chance: random.Random) -> None:
    """One of the things that relays do, once."""
    at = chance.choice(["MAIL", "RCPT", "DATA", "DOT", "RSET"])
    match chance.randrange(5):
        case 0:
            relay.says_421_at(at, times=1)
        case 1:
            relay.drops_at(at, times=1)
        case 2:
            relay.answers("RSET", b"500 5.5.1 what?\r\n", times=1)
        case 3:
            relay.answers("RCPT", b"550 5.1.1 no such user\r\n", times=1)
        case _:
            # On everybody who is through the handshake.
            for wire in relay.wires:
                if wire.is_protected:
                    wire.close()


async def one(pool: SmtpPool, relay: Unmoved, number: int, chance: random.Random) -> Transmission | None:
    """Send a message as a worker does, or give up in the middle of it; sometimes there is trouble."""
    patience = chance.choice([0.0, 0.002, 0.01, 20.0, 20.0, 20.0, 20.0])
    try:
        async with asyncio.timeout(patience), pool.session("abc"[number % 3]) as session:
            if chance.random() < 0.15:
                make_trouble(relay, chance)
            return await send(session, f"p{number}@x.test")
    except (TimeoutError, RelayError):
        return None


@pytest.mark.parametrize("seed", first(1, range(4)))
async def test_whatever_relays_and_borrowers_do_nobody_waits_for_ever(seed: int) -> None:
    """Nobody gets a dead connection or two messages, and never more connections are open than allowed."""
    chance = random.Random(seed)
    settings = replace(
        SETTINGS, max_connections=CONNECTIONS, max_messages_per_connection=7, command_timeout=2.0, reply_timeout=2.0
    )
    async with Unmoved(pipelining=bool(seed % 2)) as relay:
        async with SmtpPool(relay.route(), None, settings) as pool:
            tasks = []
            for number in range(MESSAGES):
                tasks.append(asyncio.create_task(one(pool, relay, number, chance)))
                await asyncio.sleep(chance.choice([0.0, 0.001]))
                assert in_use(pool) <= CONNECTIONS
            async with asyncio.timeout(20):
                results = await asyncio.gather(*tasks)
            assert repr(pool).partition(": ")[2].startswith("0 lent")
            assert repr(pool).endswith(" 0 waiting>")
            # What they left is as good as new, once nothing goes wrong any more.
            relay.behave()
            for number in range(CONNECTIONS):
                async with asyncio.timeout(20), pool.session("abc"[number % 3]) as session:
                    assert is_yes(await send(session, f"late{number}@x.test"))
        # Who was told 250 was delivered to, once; nobody at all was delivered to twice.
        delivered = Counter(recipient for delivery in relay.deliveries for recipient in delivery.recipients)
        assert set(delivered.values()) <= {1}
        told = {f"p{number}@x.test" for number, result in enumerate(results) if result is not None and is_yes(result)}
        assert told <= set(delivered)
        assert len(told) > MESSAGES / 10
        uses = Counter(delivery.connection for delivery in relay.deliveries)
        assert max(uses.values()) <= 7
        await relay.left_by_everybody()


def in_use(pool: SmtpPool) -> int:
    """Connections that are lent, idle, opening or closing, as the pool tells."""
    told = repr(pool).partition(": ")[2]
    return sum(int(part.split()[0]) for part in told.rstrip(">").split(", ")[:4])


def is_yes(result: Transmission) -> bool:
    """Whether the relay took the message."""
    (answer,) = result.answers.values()
    return isinstance(answer, Answered) and answer.phase is Phase.DOT and answer.reply.is_positive
