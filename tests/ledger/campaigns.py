"""Campaigns to test with: small ones, made in one line, and what the ledger says of them counted again by hand."""

import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from mailer.backends.redis.events import STATES
from mailer.backends.redis.ledgers import Ledgers
from mailer.backends.redis.packing import unpack
from mailer.vocabulary.campaign import Campaign, CampaignStatus
from mailer.vocabulary.chunk import Draft
from mailer.vocabulary.outcome import Class, Outcome
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.recipient import State
from mailer.vocabulary.reply import Reply
from mailer.vocabulary.report import RecipientRecord
from mailer.vocabulary.settings import DeliverySettings, SmtpSettings
from tests.ledger.hands import hand

REASON = {"failure": Class.PERMANENT, "reason": "no_such_mailbox"}
SENT = Outcome(state=State.SENT, phase=Phase.DOT, reply=Reply(250, "2.0.0", "Ok: queued as 4XyZ1234"))
REFUSED = Outcome(
    state=State.REFUSED,
    phase=Phase.RCPT,
    failure=Class.PERMANENT,
    reason="no_such_mailbox",
    reply=Reply(550, "5.1.1", "unknown user"),
)
FAILED = Outcome(state=State.FAILED, phase=Phase.MAIL, failure=Class.LOCAL, reason="too_big", text="too big")
IN_DOUBT = Outcome(state=State.IN_DOUBT, phase=Phase.BODY, failure=Class.UNKNOWN, reason="interrupted", text="cut off")
RELEASED = Outcome(state=State.QUEUED, counted=False)


def deferred(due_ms: int) -> Outcome:
    """Greylisted, to be tried again at this time."""
    return Outcome(
        state=State.DEFERRED,
        phase=Phase.RCPT,
        failure=Class.TEMPORARY,
        reason="greylisted",
        reply=Reply(451, "4.7.1", "later"),
        due_ms=due_ms,
    )


def proposal(**changes: Any) -> Campaign:
    """A campaign as a producer proposes it."""
    return Campaign(
        **{
            "id": "",
            "name": "news",
            "key": f"key-{secrets.token_hex(6)}",
            "fingerprint": "content",
            "template": "hello",
            "template_sha256": "00",
            "sender": "News <news@acme.test>",
            "reverse_path": "news@acme.test",
            "source": "people.csv",
            "smtp": SmtpSettings(url="smtp+starttls://relay.test:587"),
            "delivery": DeliverySettings(),
            "salt": secrets.token_hex(16),
            "created_ms": 1_750_000_000_000,
            "version": "1",
            **changes,
        }
    )


def message(row: int) -> bytes:
    """What goes to the recipient in this row."""
    return b"Subject: news\r\n\r\nDear number %d, this is the news.\r\n" % row


def drafts(rows: Iterable[int], content: bytes | None = None) -> list[Draft]:
    """One accepted row for each number."""
    return [
        Draft(row=row, email=f"r{row}@x{row % 3}.test", content=message(row) if content is None else content)
        for row in rows
    ]


async def running(ledgers: Ledgers, *chunks: Sequence[Draft], **changes: Any) -> Campaign:
    """A campaign of these chunks that has been sealed."""
    campaign = await ledgers.intake.open(proposal(**changes))
    for chunk in chunks:
        assert not await ledgers.intake.accept(campaign, chunk)
    assert await ledgers.intake.seal(campaign, "run", invalid=0, duplicate=0, complete=True)
    return campaign


async def work_off(ledgers: Ledgers, campaign: Campaign, outcome: Outcome = SENT) -> None:
    """Bring everybody who is queued or due to this end."""
    async with hand(ledgers) as worker:
        for chunk in await ledgers.redis.zrange(ledgers.keys.base(campaign.id) + "open", 0, -1):
            await worker.finish(await worker.claim(campaign, int(chunk)), outcome)


async def records(ledgers: Ledgers, campaign: Campaign) -> list[RecipientRecord]:
    """Everybody in the ledger."""
    return [record async for record in ledgers.reading.records(campaign)]


async def states(ledgers: Ledgers, campaign: Campaign) -> list[str]:
    """The state of everybody, by row."""
    return [record.state.value for record in await records(ledgers, campaign)]


async def checked(ledgers: Ledgers, campaign: Campaign) -> CampaignStatus:
    """The status, after counting it again in every chunk: everybody is in one state, and the sums are right."""
    status = await ledgers.reading.status(campaign.id)
    base = ledgers.keys.base(campaign.id)
    counted: Counter[str] = Counter()
    for chunk in range(int(await ledgers.redis.hget(base + "c", "chunks") or 0)):
        async with ledgers.redis.pipeline(transaction=True) as pipe:
            pipe.hgetall(f"{base}s:{chunk}")
            pipe.get(f"{base}f:{chunk}")
            values, final = await pipe.execute()
        packed = {entry.index: entry.letter for entry in unpack(final)} if final else {}
        open_ones = {int(index): chr(value[0]) for index, value in values.items()}
        assert not packed.keys() & open_ones.keys()
        counted.update(STATES[letter].value for letter in (packed | open_ones).values())
    totals = status.totals.to_dict()
    assert status.totals.add_up
    assert {state.value: counted[state.value] for state in State} == {
        state.value: totals[state.value] for state in State
    }
    return status


async def keys_of(ledgers: Ledgers, campaign: Campaign) -> list[str]:
    """Every key of the server that belongs to a campaign."""
    return [key for key in await all_keys(ledgers) if campaign.id in key]


async def all_keys(ledgers: Ledgers) -> list[str]:
    """Every key of the server with the prefix of this test in it, but for the two that name the ledger itself."""
    found: list[bytes] = await ledgers.redis.eval("return redis.call('KEYS', ARGV[1])", 0, f"*{ledgers.keys.prefix}*")
    return sorted({key.decode() for key in found} - {ledgers.keys.schema, ledgers.keys.identity, ledgers.keys.gate})
