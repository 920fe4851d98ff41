"""A send that is cancelled at each of its steps, and what the next message over the same pool comes to."""

import asyncio
from contextlib import suppress
from pathlib import Path

from mailer.backends.smtp.pool import SmtpPool
from mailer.policy.dot_stuffing import dot_stuff
from mailer.vocabulary.envelope import Envelope
from mailer.vocabulary.route import Route, Security
from mailer.vocabulary.settings import SmtpSettings
from mailer.vocabulary.transmission import Answered
from tests.faults.sink import Sink
from tests.faults.steps import Moment, Step

SETTINGS = SmtpSettings(command_timeout=2, reply_timeout=2, local_hostname="client.test", max_connections=1)
STEPS = (Step.MAIL, Step.RCPT, Step.DATA, Step.BODY, Step.DOT, Step.FSYNCED, Step.REPLIED)


async def mixed_up(folder: Path) -> list[str]:
    """Cancel a send at each step, send to somebody else next. Returns what was not as the relay's log has it."""
    return [words for step in STEPS for words in await _cancelled_at(step, folder)]


async def _cancelled_at(step: Step, folder: Path) -> list[str]:
    there, go_on = asyncio.Event(), asyncio.Event()

    async def hook(moment: Moment) -> bytes | None:
        if moment.step is step and moment.count == 1:
            there.set()
            await go_on.wait()
        return None

    async with Sink(folder / f"accepted-{step}", hook=hook) as sink:
        sink.sticky[Step.RCPT, "second@x.test"] = b"550 5.1.1 no such user here\r\n"
        route = Route(host="localhost", port=sink.port, security=Security.STARTTLS, ca_pem=sink.certificates.ca_pem)
        pool = SmtpPool(route, None, SETTINGS)
        try:
            first = asyncio.create_task(_send(pool, "first@x.test"))
            await there.wait()
            first.cancel()
            with suppress(asyncio.CancelledError):
                await first
            go_on.set()
            said = await _send(pool, "second@x.test")
        finally:
            go_on.set()
            await pool.close()
    return [] if said == 550 else [f"cancelled at {step}: the second recipient was refused, and we heard {said}"]


async def _send(pool: SmtpPool, address: str) -> int | str:
    content = f"To: {address}\r\n\r\nHello.\r\n".encode()
    async with pool.session() as session:
        transmission = await session.transmit(Envelope("s@x.test", (address,)), dot_stuff(content), _permitted)
    answer = transmission.answers[address]
    return answer.reply.code if isinstance(answer, Answered) else str(answer)


async def _permitted() -> bool:
    return True
