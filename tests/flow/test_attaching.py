"""Attached files are put into the message just before it goes out: fetched once, and never half."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from mailer.backends.redis.ledgers import Ledgers
from mailer.backends.redis.limiter import RedisLimiter
from mailer.flow.attaching import Attaching, FileMissingError
from mailer.flow.delivery import Delivery
from mailer.flow.run import Route
from mailer.interfaces.session import Permit, Session
from mailer.policy.attachment_marks import encode_file, mark
from mailer.policy.dot_stuffing import dot_stuff, unstuff
from mailer.vocabulary.campaign import Campaign
from mailer.vocabulary.chunk import Attached, Draft
from mailer.vocabulary.envelope import Envelope, MailData, MailObject
from mailer.vocabulary.outcome import Class
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.recipient import State
from mailer.vocabulary.transmission import Transmission
from tests.flow.relay import ScriptedRelay, ScriptedSession
from tests.ledger.campaigns import checked, proposal, records, running
from tests.ledger.hands import Hand, hand


def file(content: bytes, name: str = "terms.pdf") -> Attached:
    return Attached(digest=hashlib.sha256(content).hexdigest(), size=len(content), name=name, read=lambda: content)


TERMS, PLAN = file(b"terms " * 100), file(b"plan " * 10)


def letter(row: int, *files: Attached) -> Draft:
    """A message that carries these files."""
    content = b"Subject: %d\r\n\r\n" % row + b"".join(mark(attached.digest) + b"--\r\n" for attached in files)
    return Draft(row=row, email=f"r{row}@x.test", content=content, attached=files)


def filled(draft: Draft) -> bytes:
    """The message as it should go out."""
    content = draft.content
    for attached in draft.attached:
        content = content.replace(mark(attached.digest), encode_file(attached.read()))
    return content


@dataclass
class Relay(ScriptedRelay):
    """Remembers what was handed to it."""

    contents: dict[str, bytes] = field(default_factory=dict)

    @asynccontextmanager
    async def session(self, borrower: str) -> AsyncIterator[Session]:
        async with super().session(borrower):
            yield Remembering(self)


class Remembering(ScriptedSession):
    def __init__(self, relay: Relay) -> None:
        super().__init__(relay)
        self._contents = relay.contents

    async def transmit(
        self, envelope: Envelope, data: MailData, permit: Permit, following: MailObject | None = None
    ) -> Transmission:
        self._contents[envelope.recipients[0]] = unstuff(data)
        return await super().transmit(envelope, data, permit, following)


@asynccontextmanager
async def at_work(ledgers: Ledgers, relay: Relay, connections: int = 4) -> AsyncIterator[tuple[Delivery, Hand]]:
    route = Route(relay, connections, "relay.test:587")
    async with hand(ledgers) as worker:
        limiter = RedisLimiter(ledgers.redis, ledgers.keys)
        yield Delivery(worker.delivery, lambda campaign: route, "here:1", limiter), worker


async def test_a_message_goes_out_with_its_files(ledgers: Ledgers) -> None:
    drafts = [letter(1, TERMS), letter(2), letter(3, PLAN, TERMS, PLAN), letter(4, PLAN)]
    campaign = await running(ledgers, drafts)
    relay = Relay()
    async with at_work(ledgers, relay) as (delivery, _):
        await delivery.work(campaign.id, 0)
    assert (await checked(ledgers, campaign)).totals.sent == 4
    assert relay.contents == {draft.email: filled(draft) for draft in drafts}


async def test_a_file_is_fetched_once_however_many_ask(ledgers: Ledgers, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = await running(ledgers, [letter(row, TERMS) for row in range(1, 31)])
    fetched: Counter[str] = Counter()
    async with at_work(ledgers, Relay(), connections=10) as (delivery, worker):
        fetch = worker.delivery.attachment

        async def counted(campaign: Campaign, digest: str) -> bytes:
            fetched[digest] += 1
            return await fetch(campaign, digest)

        monkeypatch.setattr(worker.delivery, "attachment", counted)
        await delivery.work(campaign.id, 0)
    assert fetched == {TERMS.digest: 1}
    assert (await checked(ledgers, campaign)).totals.sent == 30


async def test_without_its_file_a_message_is_failed_and_the_others_go(ledgers: Ledgers) -> None:
    drafts = [letter(1, TERMS), replace(letter(1, TERMS), email="copy@x.test", by_row=True), letter(2, PLAN), letter(3)]
    campaign = await running(ledgers, drafts)
    await ledgers.redis.unlink(f"{ledgers.keys.base(campaign.id)}b:{TERMS.digest}")
    relay = Relay()
    async with at_work(ledgers, relay) as (delivery, _):
        await delivery.work(campaign.id, 0)
    await checked(ledgers, campaign)
    first, copy, *others = await records(ledgers, campaign)
    for lost in (first, copy):
        assert (lost.state, lost.phase, lost.failure, lost.reason, lost.attempts) == (
            State.FAILED,
            Phase.BUILD,
            Class.LOCAL,
            "attachment",
            0,
        )
        assert lost.text is not None
        assert TERMS.digest in lost.text
    assert {record.state for record in others} == {State.SENT}
    assert set(relay.contents) == {"r2@x.test", "r3@x.test"}


async def test_while_the_ledger_gives_no_files_the_chunk_rests_and_nobody_is_burned(
    ledgers: Ledgers, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = await running(ledgers, [letter(row, TERMS) for row in range(1, 5)])
    relay = Relay()

    async def away(campaign: Campaign, digest: str) -> bytes:
        raise ConnectionError("the queue server is away")

    async with at_work(ledgers, relay) as (delivery, worker):
        with monkeypatch.context() as patched:
            patched.setattr(worker.delivery, "attachment", away)
            await delivery.work(campaign.id, 0)
        status = await checked(ledgers, campaign)
        assert (status.totals.queued, status.next_due_ms is not None) == (4, True)
        assert not relay.contents
        await delivery.work(campaign.id, 0)
    assert {(record.state, record.attempts) for record in await records(ledgers, campaign)} == {(State.SENT, 1)}


class Shelf:
    """A ledger of files alone."""

    def __init__(self, *files: Attached) -> None:
        self._files = {attached.digest: attached for attached in files}
        self.fetched: list[str] = []

    async def attachment(self, campaign: Campaign, digest: str) -> bytes:
        self.fetched.append(digest)
        await asyncio.sleep(0)
        return self._files[digest].read()


async def test_what_is_kept_is_bounded_in_bytes_and_the_last_used_stay() -> None:
    files = [file(bytes([65 + number]) * 750) for number in range(4)]
    shelf, campaign = Shelf(*files), proposal()
    attaching = Attaching(shelf, most_kept=2100)  # type: ignore[arg-type]  # a fake with all that is used of a ledger
    for number in (0, 1, 0, 2, 0, 1):
        await attaching.fill(campaign, dot_stuff(letter(1, files[number]).content))
    assert shelf.fetched == [files[number].digest for number in (0, 1, 2, 1)]


async def test_a_file_larger_than_all_that_is_kept_serves_everybody_who_asks_now() -> None:
    shelf, campaign, draft = Shelf(TERMS), proposal(), letter(1, TERMS)
    attaching = Attaching(shelf, most_kept=10)  # type: ignore[arg-type]  # a fake with all that is used of a ledger
    data = dot_stuff(draft.content)
    assert set(await asyncio.gather(*(attaching.fill(campaign, data) for _ in range(5)))) == {dot_stuff(filled(draft))}
    assert shelf.fetched == [TERMS.digest]


async def test_one_who_is_cancelled_while_he_fetches_leaves_it_to_the_next() -> None:
    shelf, campaign, draft = Shelf(TERMS), proposal(), letter(1, TERMS)
    attaching = Attaching(shelf)  # type: ignore[arg-type]  # a fake with all that is used of a ledger
    first, second = (asyncio.create_task(attaching.fill(campaign, dot_stuff(draft.content))) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == dot_stuff(filled(draft))
    assert first.cancelled()


async def test_a_missing_file_is_missing_for_everybody_who_asks() -> None:
    attaching = Attaching(Shelf())  # type: ignore[arg-type]  # a fake with all that is used of a ledger
    asked = [attaching.fill(proposal(), dot_stuff(letter(1, TERMS).content)) for _ in range(3)]
    for answer in await asyncio.gather(*asked, return_exceptions=True):
        assert isinstance(answer, FileMissingError)
        assert TERMS.digest in str(answer)
