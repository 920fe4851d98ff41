"""Room on a route: never more under way than there is room for, and nobody waits for ever."""

import asyncio
import random
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from mailer.flow.room import Room


def room_for(width: int, limit: int = 8) -> Room:
    room = Room(limit)
    room.restarted()
    while room.congestion.width < width:
        room.worked(room.congestion.cuts)
    return room


async def soon(*waits: Coroutine[Any, Any, bool]) -> list["asyncio.Task[bool]"]:
    """Tasks that have begun to wait."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    await asyncio.sleep(0)
    return tasks


def test_while_nothing_is_slow_everybody_enters() -> None:
    """The pool says who waits, as ever."""
    room = Room(2)
    assert all(room.enter("a") for _ in range(100))
    assert not room.is_short


def test_when_it_gets_narrow_those_too_many_are_told_to_leave_and_the_others_stay() -> None:
    room = Room(4)
    assert all(room.enter("a") for _ in range(4))
    room.slowed(0)
    left = 0
    while room.is_short:
        assert room.is_scarce
        room.leave("a")
        left += 1
    assert left == 2
    assert not room.enter("a")


def test_a_session_somebody_else_waits_for_is_not_scarce() -> None:
    """More lanes than connections: it goes on to the next one, who sees for himself."""
    room = Room(4)
    assert all(room.enter("a") for _ in range(9))
    room.slowed(0)
    assert room.is_short
    assert not room.is_scarce


async def test_whoever_waits_enters_in_turn_when_another_leaves() -> None:
    room = room_for(1)
    assert room.enter("a")
    first, second = await soon(room.wait("a", 1), room.wait("a", 2))
    room.leave("a")
    assert await first
    assert not second.done()
    assert not room.enter("a")
    room.leave("a")
    assert await second


async def test_in_a_narrow_room_campaigns_share_the_places() -> None:
    room = room_for(2)
    assert room.enter("a")
    assert room.enter("a")
    now = time.monotonic()
    assert not room.is_wanted("a", now)
    first, second = await soon(room.wait("a", 1), room.wait("b", 2))
    assert room.is_wanted("a", now)
    room.leave("a")
    assert await second
    assert not first.done()
    assert not room.is_wanted("a", now)
    assert not room.is_wanted("b", now)


async def test_when_it_gets_wide_everybody_who_waits_enters() -> None:
    room = room_for(1, limit=2)
    assert room.enter("a")
    waits = await soon(*(room.wait("a", 1) for _ in range(5)))
    room.worked(room.congestion.cuts)
    assert await asyncio.gather(*waits) == [True] * 5


async def test_whoever_has_nothing_left_to_do_waits_no_longer_and_the_others_do() -> None:
    room = room_for(1)
    assert room.enter("a")
    first, other = await soon(room.wait("a", 1), room.wait("a", 2))
    room.let_go(1)
    assert not await first
    assert not other.done()
    room.leave("a")
    assert await other


@pytest.mark.parametrize("is_served", [False, True])
async def test_whoever_is_cancelled_while_he_waits_takes_no_place_with_him(is_served: bool) -> None:
    """Also in the moment in which it has become his."""
    room = room_for(1)
    assert room.enter("a")
    first, second = await soon(room.wait("a", 1), room.wait("a", 2))
    if is_served:
        room.leave("a")
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    if not is_served:
        room.leave("a")
    assert await second


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_happens_everybody_gets_through_and_nobody_begins_where_there_is_no_room(seed: int) -> None:
    chance = random.Random(seed)
    room = Room(chance.randint(1, 6))
    begun = done = 0

    def campaign(run: int) -> str:
        return "ab"[run % 2]

    def shake() -> None:
        match chance.randrange(12):
            case 0:
                room.slowed(room.congestion.cuts)
            case 1:
                room.restarted()
            case 2:
                room.let_go(chance.randrange(3))
            case _:
                room.worked(room.congestion.cuts)

    async def enters(run: int) -> bool:
        if not (room.enter(campaign(run)) or await room.wait(campaign(run), run)):
            return False
        if room.is_short:  # it got narrow in the moment in which the place became his
            room.leave(campaign(run))
            return False
        return True

    async def lane(run: int) -> None:
        nonlocal begun, done
        for _ in range(20):
            while not await enters(run):
                pass
            begun += 1
            try:
                assert not (room.congestion.is_narrow and begun > room.congestion.width)
                await asyncio.sleep(0)
                shake()
            finally:
                begun -= 1
                room.leave(campaign(run))
            done += 1

    lanes = [asyncio.create_task(lane(number % 3)) for number in range(12)]
    for task in lanes[:2]:
        await asyncio.sleep(0)
        task.cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(*lanes, return_exceptions=True)
    assert done >= 200
    assert [task for task in lanes[2:] if task.exception()] == []
