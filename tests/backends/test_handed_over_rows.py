"""Rows that a program hands over: from a database as they are, again where that is possible, and never into silence."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

import pytest

from mailer.backends.sources.handover import Handover, HandoverError, copied
from mailer.backends.sources.iterable import IterableSource
from mailer.backends.sources.query import query
from mailer.vocabulary.errors import SourceError


class Point(NamedTuple):
    x: int
    y: Decimal


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (date(2026, 11, 21), "2026-11-21"),
        (datetime(2026, 11, 21, 7, 21, 28, tzinfo=UTC), "2026-11-21T07:21:28+00:00"),
        (time(7, 21), "07:21:00"),
        (Decimal("19.90"), "19.90"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        ((1, ("a", date(2026, 1, 2))), [1, ["a", "2026-01-02"]]),
        (Point(1, Decimal("0.10")), [1, "0.10"]),
        ([{"when": date(2026, 1, 2), "n": 1}], [{"when": "2026-01-02", "n": 1}]),
        (b"\0", b"\0"),
        (True, True),
        (None, None),
    ],
)
def test_what_a_database_gives_becomes_what_templates_have(value: object, plain: object) -> None:
    """Bytes stay, and are refused where the row is built: nobody knows their encoding."""
    row = {"email": "a@x.test", "value": value}
    for source in (IterableSource([row]), IterableSource(lambda: [copied(row)])):
        (found,) = source.rows()
        assert found.columns == {"email": "a@x.test", "value": plain}
    assert row["value"] is value


def test_a_value_that_holds_itself_stays_what_it_is() -> None:
    """It is the template that says so, of this row alone."""
    endless: list[object] = []
    endless.append(endless)
    (row,) = IterableSource([{"endless": endless}]).rows()
    assert row.columns["endless"] is endless


def test_rows_of_a_query_are_handed_over_as_they_are() -> None:
    """A driver's own row types are mappings, too."""
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    statement = "select 'a@x.test' as email, 1.5 as n"
    rows = [*query(connection, statement), *connection.execute(statement)]
    assert [row.columns for row in IterableSource(rows).rows()] == [{"email": "a@x.test", "n": 1.5}] * 2
    connection.close()


def test_a_list_can_be_read_again_and_a_generator_only_once() -> None:
    """Nobody knows whether another run would bring the same list: it has no hash."""
    source = IterableSource([{"email": "a@x.test"}, "b@x.test"])
    assert (source.is_repeatable, source.content_hash) == (True, None)
    assert list(source.rows()) == list(source.rows())
    assert len(list(source.rows())) == 2

    once = IterableSource(lambda: iter([{"email": "a@x.test"}]))
    assert not once.is_repeatable
    assert len(list(once.rows())) == 1
    with pytest.raises(SourceError, match="only once"):
        list(once.rows())


async def fail_after_two(error: BaseException) -> AsyncIterator[Mapping[str, object]]:
    yield {"email": "a@x.test"}
    yield {"email": "b@x.test"}
    raise error


def fail_at_once(error: BaseException) -> Iterator[Mapping[str, object]]:
    raise error
    yield {}


@pytest.mark.parametrize("make", [fail_after_two, fail_at_once])
async def test_whoever_reads_is_told_of_a_cancellation(make: object) -> None:
    """It goes on where it happened, and the reader does not wait for ever."""
    assert callable(make)
    handover = Handover(make(asyncio.CancelledError("away")))
    feeding = asyncio.create_task(handover.feed())
    reading = asyncio.create_task(asyncio.to_thread(lambda: list(handover.take())))
    with pytest.raises(HandoverError) as caught:
        await asyncio.wait_for(reading, 10)
    assert isinstance(caught.value.raised, asyncio.CancelledError)
    await asyncio.wait([feeding])
    assert feeding.cancelled()
