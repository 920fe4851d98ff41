"""The budget: what a recipient costs in the memory of the queue server."""

import random

import pytest
from arq.constants import job_key_prefix

from mailer.backends.redis.ledgers import Ledgers
from mailer.vocabulary.campaign import Campaign
from mailer.vocabulary.chunk import Attempt, Draft
from mailer.vocabulary.outcome import Outcome
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.recipient import State
from mailer.vocabulary.reply import Reply
from tests.ledger.campaigns import REFUSED, checked, proposal
from tests.ledger.hands import hand

RECIPIENTS, CHUNK = 5_000, 100
CHANCE = random.Random(7)
WORDS = [f"{word}{number}" for number in range(60) for word in ("news", "offer", "letter", "garden", "river")]
BODY = "\r\n".join(" ".join(CHANCE.choices(WORDS, k=9)) for _ in range(75))


def draft(row: int) -> Draft:
    content = (
        f"From: News <news@acme.test>\r\nTo: person{row}@example{row % 40}.test\r\nSubject: Hello Person {row}\r\n"
        f"Message-ID: <{row * 7919:032x}@acme.test>\r\n\r\nDear Person {row},\r\n{BODY}\r\n"
        f"https://acme.test/unsubscribe/{row * 104729:x}\r\n"
    )
    return Draft(row=row, email=f"person{row}@example{row % 40}.test", content=content.encode())


async def used(ledgers: Ledgers) -> int:
    # The scripts' own heap is the server's, not the recipients'.
    info: bytes = await ledgers.redis.eval("collectgarbage() return redis.call('INFO', 'memory')", 0)
    facts = dict(line.split(":", 1) for line in info.decode().split("\r\n") if ":" in line)
    return int(facts["used_memory_dataset"])


async def accept(ledgers: Ledgers, first: int, count: int) -> Campaign:
    campaign = await ledgers.intake.open(proposal())
    for start in range(first, first + count, CHUNK):
        await ledgers.intake.accept(campaign, [draft(row) for row in range(start, start + CHUNK)])
    return campaign


async def finish(ledgers: Ledgers, campaign: Campaign, chunks: int) -> None:
    """Send everybody but every twentieth, whom the relay refuses."""
    await ledgers.intake.seal(campaign, "run", invalid=0, duplicate=0, complete=True)
    # The jobs go as arq lets them go.
    jobs = [job.decode() for job in await ledgers.redis.zrange(ledgers.keys.queue, 0, -1)]
    await ledgers.redis.unlink(ledgers.keys.queue, *(job_key_prefix + job for job in jobs))
    async with hand(ledgers) as worker:
        for chunk in range(chunks):
            claim = await worker.claim(campaign, chunk)
            for recipient in claim.recipients:
                now = claim.redis_ms + CHANCE.randrange(5_000)
                attempt = Attempt(
                    begun_ms=now, ended_ms=now + 40, smtp_ms=40, relay="relay.test:587", tls="TLSv1.3", worker="h:1"
                )
                text = f"Ok: queued as 4{CHANCE.randrange(16**9):09X}"
                sent = Outcome(state=State.SENT, phase=Phase.DOT, reply=Reply(250, "2.0.0", text))
                worker.delivery.record(claim, recipient, sent if recipient.index % 20 else REFUSED, attempt)
            await worker.delivery.end_run(claim)


@pytest.mark.thorough
async def test_a_recipient_takes_a_kilobyte_when_queued_and_a_hundred_bytes_when_finished(ledgers: Ledgers) -> None:
    assert 4_500 < len(draft(1).content) < 6_000
    # The scripts, the buffers of the connections and the like are paid for once.
    await finish(ledgers, await accept(ledgers, 1, 10 * CHUNK), 10)
    before = await used(ledgers)
    campaign = await accept(ledgers, 1, RECIPIENTS)
    queued = (await used(ledgers) - before) / RECIPIENTS
    await finish(ledgers, campaign, RECIPIENTS // CHUNK)
    finished = (await used(ledgers) - before) / RECIPIENTS
    status = await checked(ledgers, campaign)
    assert (status.totals.sent, status.totals.refused) == (RECIPIENTS * 19 // 20, RECIPIENTS // 20)
    assert queued <= 1024
    assert finished <= 100
