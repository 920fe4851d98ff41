"""The API as a stranger types it: checked by mypy, never run. An ignore that is not needed is an error, too."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from typing import assert_type

import mailer
from mailer import (
    AsyncHandle,
    AsyncMailer,
    AsyncReport,
    Campaign,
    CampaignStatus,
    Handle,
    Mailer,
    MailerError,
    RecipientEvent,
    RecipientRecord,
    Report,
    State,
    sources,
)
from mailer.testing import AsyncMemoryMailer, MemoryMailer

campaign = Campaign("c", template="t", sender="a@b.example", recipients=[{"email": "x@y.example", "n": 1}], key="k")
Campaign(template="t", sender="a@b.example", recipients="people.csv")
Campaign(template="t", sender="a@b.example", recipients=5)  # type: ignore[arg-type]
Campaign("c", sender="a@b.example", recipients="x")  # type: ignore[call-arg]
Campaign(
    template="letter.txt",
    recipients=Path("people.xlsx"),
    cc="{{ boss }}",
    bcc="audit@b.example",
    attachments=["invoices/{{ number }}.pdf", Path("terms.pdf")],
    duplicates="keep",
    inline_css=True,
)
Campaign(template="t", recipients="x", duplicates="last")  # type: ignore[arg-type]


def plain() -> None:
    report = campaign.send(skip_bad=True)
    assert_type(report, Report)
    assert_type(campaign.send(wait=False), Handle)
    for address, (code, text) in report.refused.items():
        assert_type(address, str)
        assert_type(code, int)
        assert_type(text, str)
    assert_type(report.recipients(state="refused"), Iterator[RecipientRecord])
    assert_type(report.totals.sent, int)
    assert_type(campaign.send(limit=10, offset=5, rate=["10/s", "300/min"], priority=1), Report)
    assert_type(campaign.send(wait=False, at=datetime(2026, 12, 1), key="k"), Handle)
    campaign.send(limit="10")  # type: ignore[call-overload]
    campaign.send(nonsense=True)  # type: ignore[call-overload]
    with Mailer.from_env() as mailer:
        handle = mailer.enqueue(campaign, sample=3, test_to="me@b.example", new=True, duplicates="keep")
        assert_type(mailer.send(campaign, exclude_campaign="c-7f3c", append=True, delimiter=";"), Report)
        assert_type(handle.wait(5), CampaignStatus)
        for event in handle.events():
            assert_type(event, RecipientEvent)
            if event.state == "refused" or event.state is State.SENT:
                print(event.email, event.code)


async def rows() -> AsyncIterator[dict[str, object]]:
    yield {"email": "x@y.example"}


async def asynchronous() -> None:
    async with AsyncMailer.from_env(settings={"smtp.max_connections": 2}) as mailer:
        handle = await mailer.enqueue(Campaign(template="t", sender="a@b.example", recipients=rows()))
        assert_type(handle, AsyncHandle)
        await mailer.enqueue(campaign, stream=True, rate="20/s", at="2026-12-01T08:00")
        assert_type(await mailer.send(campaign, skip_bad=True, smtp_url="smtps://u@h.example"), AsyncReport)
        async for event in handle.events():
            assert_type(event.text, str | None)
        assert_type(await handle.pause("why"), bool)
        assert_type(await handle.cancel("why"), int)
        assert_type((await handle.retry(state=["failed", "refused"], limit=3)).recipients, int)
        report = await handle.report()
        async for record in report.recipients(state=["sent", State.FAILED]):
            assert_type(record, RecipientRecord)
        await report.save("out", formats=("html",))


def in_tests(memory_mailer: MemoryMailer) -> None:
    memory_mailer.refuse("ann@example.com", 550, "5.1.1 unknown user")
    memory_mailer.defer("bob@example.com", for_ever=True)
    assert_type(memory_mailer.enqueue(campaign), Handle)
    assert_type(memory_mailer.outbox[0], EmailMessage)
    code_under_test: Mailer = memory_mailer
    print(code_under_test, AsyncMemoryMailer(post=memory_mailer.post))


def failing(error: MailerError) -> None:
    assert_type(error.code, str)
    assert_type(error.where, str | None)
    assert_type(error.hint, str | None)
    assert_type(error.retryable, bool)


def other() -> None:
    assert_type(sources.query(sqlite3.connect(":memory:"), "select 1 as a", [1]), Iterator[dict[str, object]])
    assert_type(mailer.__version__, str)
