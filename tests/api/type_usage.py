"""The API as a stranger types it: checked by mypy, never run. An ignore that is not needed is an error, too."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from typing import assert_type

import mailer
from mailer import (
    AsyncHandle,
    AsyncMailer,
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

campaign = Campaign("c", template="t", sender="a@b.example", recipients=[{"email": "x@y.example", "n": 1}], key="k")
Campaign(template="t", sender="a@b.example", recipients="people.csv")
Campaign(template="t", sender="a@b.example", recipients=5)  # type: ignore[arg-type]
Campaign("c", sender="a@b.example", recipients="x")  # type: ignore[call-arg]


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
    with Mailer.from_env() as mailer:
        handle = mailer.enqueue(campaign)
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
        async for event in handle.events():
            assert_type(event.text, str | None)
        assert_type(await handle.pause("why"), bool)
        assert_type(await handle.cancel("why"), int)
        assert_type((await handle.retry(state=["failed", "refused"], limit=3)).recipients, int)
        report = await handle.report()
        async for record in report.recipients(state=["sent", State.FAILED]):
            assert_type(record, RecipientRecord)
        await report.save("out", formats=("html",))


def failing(error: MailerError) -> None:
    assert_type(error.code, str)
    assert_type(error.where, str | None)
    assert_type(error.hint, str | None)
    assert_type(error.retryable, bool)


def other() -> None:
    assert_type(sources.query(sqlite3.connect(":memory:"), "select 1 as a", [1]), Iterator[dict[str, object]])
    assert_type(mailer.__version__, str)
