"""Rendering in several processes: faster, and in everything else as with one."""

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mailer.backends.redis.frames import Frames
from mailer.backends.redis.ledgers import Ledgers
from mailer.backends.render_processes import RenderProcesses
from mailer.backends.sources.iterable import IterableSource
from mailer.flow.ahead import rendered_ahead
from mailer.flow.counts import Counts
from mailer.flow.intake import Intake
from mailer.flow.preparation import Prepared
from mailer.flow.problems import BadRowsError
from mailer.interfaces.rendering import Job, Occupation, Packed, Renderers
from mailer.interfaces.source import Row
from mailer.policy.dot_stuffing import unstuff
from mailer.vocabulary.errors import SourceError, UsageError
from mailer.vocabulary.recipient import State
from mailer.worker.rendering import start_renderers
from tests.flow.submitting import CHUNK, Shop
from tests.ledger.campaigns import all_keys, checked, records
from tests.thorough import first

DATE = datetime(2026, 11, 21, 12, tzinfo=UTC)
REFERENCE = b"Subject: Hello Name 1\r\n\r\nDear Name 1 of City 1,\r\n\r\nthe news.\r\n" * 3


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def batches(prepared: Prepared) -> Iterator[list[Row]]:
    rows = list(prepared.source.rows())
    return (rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK))


async def processes(prepared: Prepared, *, after: int = 0, reference: bytes | None = None) -> RenderProcesses:
    campaign = replace(prepared.proposal, id="hello-1234", salt="00" * 16)
    occupation = Occupation(campaign=campaign, date=DATE, after=after, reference=reference)
    started = await start_renderers(prepared, occupation, count=2, is_asked=True)
    assert isinstance(started, RenderProcesses)
    return started


def made(prepared: Prepared, renderers: Renderers | None = None, *, after: int = 0) -> list[object]:
    """All that becomes of a list, messages as they go over the wire."""
    campaign = replace(prepared.proposal, id="hello-1234", salt="00" * 16)
    intake = Intake(prepared, campaign, date=DATE, after=after)
    frames = Frames(REFERENCE)
    found: list[object] = []
    rows = batches(prepared)
    for batch in rows if renderers is None else rendered_ahead(rows, renderers, intake):
        built = intake.build(batch)
        for draft in built.drafts:
            packed = isinstance(draft.content, Packed)
            content = unstuff(frames.restore(draft.content)) if packed else draft.content
            found.append(replace(draft, content=content))
        found += [built.left_out, built.unescaped, built.repeated, built.twins]
        found += [(problem.row, problem.email, str(problem.error), problem.error.where) for problem in built.problems]
    return found


@dataclass
class Counting:
    """Renderers that count what comes back."""

    renderers: Renderers
    jobs: list[Job]

    def take(self, rows: Sequence[Row]) -> Job | None:
        job = self.renderers.take(rows)
        if job is not None:
            self.jobs.append(job)
        return job

    def collect(self, *, wait: bool) -> None:
        self.renderers.collect(wait=wait)

    def close(self) -> None:
        self.renderers.close()

    @property
    def messages(self) -> int:
        return sum(len([one for one in job.done or () if one is not None]) for job in self.jobs)


def mixed() -> list[dict[str, object]]:
    """Rows of every kind: good ones, duplicates, invalid ones, some that cannot be built, and odd values."""
    rows: list[dict[str, object]] = [
        {"email": f"p{row}@x{row % 7}.test", "name": f"Näme {row}", "city": row} for row in range(1, 95)
    ]
    rows[5] = {"email": "nobody", "name": "No", "city": "Address"}
    rows[17] = {"email": "p3@x3.test", "name": "Again", "city": "1"}
    rows[23] = {"email": "late@x.test", "name": "No city"}
    rows[24] = {"email": "header@x.test", "name": "a\nb", "city": ""}
    rows[31] = {"email": "big@x.test", "name": 2**70, "city": [1, {"a": None}, 2.5, True]}
    rows[47] = {"mail": "other@x.test", "email": "one@x.test", "name": "Two", "city": "columns"}
    rows[48] = {"mail": "p4@x4.test", "name": "Duplicate", "city": "by mail"}
    rows[61] = {"E-Mail": "P5@X5.test", "name": "\ud800", "city": "lone"}
    rows[70] = {"email": "P6@x6.test", "name": "twin", "city": ""}
    return rows


@pytest.mark.parametrize("reference", first(1, [None, REFERENCE]))
async def test_what_is_made_is_the_same_to_the_byte(shop: Shop, reference: bytes | None) -> None:
    """Messages, order, rows left out, problems and their words: nothing tells how many processes rendered."""
    prepared = shop.prepared(IterableSource(mixed()), token_secret=b"secret")
    renderers = Counting(await processes(prepared, after=1_000, reference=reference), [])
    try:
        assert made(prepared, renderers, after=1_000) == made(prepared, after=1_000)
    finally:
        renderers.close()
    assert renderers.messages > 30


@pytest.mark.thorough
@pytest.mark.parametrize(
    "settings",
    [
        {"duplicates": "keep", "cc": "boss@x.test, {{ name | lower | replace(' ', '') }}@x.test"},
        {"to": "{{ name }} <{{ email }}>", "unsubscribe_url": "https://x.test/{{ token }}", "headers": {"X-A": "b"}},
        {"test_to": "tester@x.test"},
    ],
    ids=["copies", "headers", "test"],
)
async def test_settings_reach_the_other_processes(shop: Shop, settings: dict[str, Any]) -> None:
    prepared = shop.prepared(shop.people(60), token_secret=b"secret", **settings)
    renderers = Counting(await processes(prepared), [])
    try:
        assert made(prepared, renderers) == made(prepared)
    finally:
        renderers.close()
    assert renderers.messages > 20


@pytest.mark.thorough
async def test_messages_with_files_are_left_to_the_first_process(shop: Shop) -> None:
    """Whoever stores a file reads it; and nobody renders such a campaign twice over."""
    (shop.folder / "prices.pdf").write_bytes(b"%PDF")
    prepared = shop.prepared(shop.people(100), attachments=("prices.pdf",))
    renderers = Counting(await processes(prepared), [])
    try:
        assert made(prepared, renderers) == made(prepared)
    finally:
        renderers.close()
    assert renderers.messages == 0
    assert len(renderers.jobs) <= 4


@pytest.mark.thorough
async def test_a_template_that_was_changed_is_rendered_as_it_was_read(shop: Shop) -> None:
    prepared = shop.prepared(shop.people(30))
    expected = made(prepared)
    (shop.folder / "templates" / "hello" / "body.txt.j2").write_text("Other words for {{ name }} of {{ city }}\n")
    renderers = await processes(prepared)
    try:
        assert made(prepared, renderers) == expected
    finally:
        renderers.close()


async def test_rows_before_damage_come_first(shop: Shop) -> None:
    """With --stream they are sent; whoever renders ahead has read the damage long before."""
    prepared = shop.prepared(shop.csv([f"p{row}@x.test,N,C" for row in range(45)] + ['"never closed,N,C']))
    intake = Intake(prepared, prepared.proposal, date=DATE)
    renderers, seen = await processes(prepared), list[int]()
    rows = prepared.source.rows()

    def lazily() -> Iterator[list[Row]]:
        while True:
            yield [next(rows) for _ in range(5)]

    def read_all() -> None:
        for batch in rendered_ahead(lazily(), renderers, intake):
            seen.extend(draft.row for draft in intake.build(batch).drafts)

    try:
        with pytest.raises(SourceError, match="never closed"):
            read_all()
    finally:
        renderers.close()
    assert seen == list(range(1, 46))


@pytest.mark.parametrize("number", first(1, [signal.SIGKILL, signal.SIGTERM]))
async def test_a_killed_process_is_told_and_nothing_waits_for_it(shop: Shop, number: signal.Signals) -> None:
    prepared = shop.prepared(shop.people(100))
    renderers = await processes(prepared)
    for child in renderers._children:
        os.kill(child.process.pid, number)
        child.process.wait()
    try:
        with pytest.raises(UsageError) as caught:
            made(prepared, renderers)
    finally:
        renderers.close()
    assert caught.value.code == "E136"
    assert f"by signal {number.value}" in caught.value.message


@pytest.mark.thorough
async def test_rows_larger_than_any_pipe_stop_nobody(shop: Shop) -> None:
    """Both sides write more than the other has read."""
    rows: list[dict[str, object]] = [
        {"email": f"p{row}@x.test", "name": "N", "city": f"{row:08d}" * 20_000} for row in range(60)
    ]
    prepared = shop.prepared(shop.json_lines(rows))
    renderers = await processes(prepared)
    try:
        assert made(prepared, renderers) == made(prepared)
    finally:
        renderers.close()


async def test_the_processes_end_with_their_parents_socket(shop: Shop) -> None:
    prepared = shop.prepared(shop.people(100))
    renderers = await processes(prepared)
    children = [child.process for child in renderers._children]
    job = renderers.take(list(prepared.source.rows()))
    assert job is not None
    renderers.close()
    assert all(child.returncode is not None for child in children)


def in_processes(prepared: Prepared) -> Prepared:
    start = partial(start_renderers, prepared, count=2, is_asked=True)
    return replace(prepared, renderers=start, waits_for_renderers=True)


@pytest.mark.thorough
async def test_a_campaign_is_stored_as_with_one_process(ledgers: Ledgers, shop: Shop) -> None:
    """The same key, the same content: the second run, with one process, finds everything there."""
    name = shop.people(95)
    submitted = await shop.submission(ledgers, name, prepared=in_processes(shop.prepared(name))).run()
    assert submitted is not None
    assert submitted.counts.new == 95
    status = submitted.status
    await checked(ledgers, status.campaign)
    assert [record.row for record in await records(ledgers, status.campaign)] == list(range(1, 96))
    before = await all_keys(ledgers)
    again = await shop.submission(ledgers, name).run()
    assert again is not None
    assert again.counts.already == 95
    assert await all_keys(ledgers) == before


@pytest.mark.thorough
async def test_a_bad_row_stops_everything_or_fails_alone(ledgers: Ledgers, shop: Shop) -> None:
    rows: list[dict[str, object]] = [{"email": f"p{row}@x.test", "name": "N", "city": "C"} for row in range(60)]
    for row in (35, 36, 52):
        del rows[row]["city"]
    name = shop.json_lines(rows)
    with pytest.raises(BadRowsError) as caught:
        await shop.submission(ledgers, name, prepared=in_processes(shop.prepared(name))).run()
    assert caught.value.rows == 3
    assert await ledgers.campaigns.ids() == []
    skipping = shop.submission(ledgers, name, prepared=in_processes(shop.prepared(name)), skip_bad=True)
    submitted = await skipping.run()
    assert submitted is not None
    failed = [
        record.row for record in await records(ledgers, submitted.status.campaign) if record.state is State.FAILED
    ]
    assert failed == [36, 37, 53]


async def test_a_process_killed_meanwhile_leaves_no_draft(ledgers: Ledgers, shop: Shop) -> None:
    name = shop.people(300)
    prepared = in_processes(shop.prepared(name))
    submission = shop.submission(ledgers, name, prepared=prepared)

    def kill(counts: object) -> None:
        renderers = submission._renderers
        assert renderers is None or isinstance(renderers, RenderProcesses)
        for child in renderers._children if renderers is not None else ():
            os.kill(child.process.pid, signal.SIGKILL)

    submission.progress = kill
    async with asyncio.timeout(20):
        with pytest.raises(UsageError, match="ended by signal 9"):
            await submission.run()
    assert await ledgers.campaigns.ids() == []


@pytest.mark.parametrize("several", [False, True])
async def test_ctrl_c_while_rows_are_rendered_is_heard(ledgers: Ledgers, shop: Shop, several: bool) -> None:
    """It comes amid pure work, and no command to the ledger swallows it; the processes end, too."""
    name = shop.people(300)
    prepared = shop.prepared(name)
    submission = shop.submission(ledgers, name, prepared=in_processes(prepared) if several else prepared)
    task = asyncio.create_task(submission.run())

    def cancel(counts: Counts) -> None:
        if counts.rows == 50:
            task.cancel()

    submission.progress = cancel
    with pytest.raises(asyncio.CancelledError):
        await task
    assert submission._renderers is None
    assert submission._counts.new < 100
