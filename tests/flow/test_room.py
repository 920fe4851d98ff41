"""Room on a route: never more under way than there is room for, and nobody waits for ever."""

import asyncio
import random
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from mailer.flow.room import TURN_S, Room


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


def test_as_many_enter_as_the_route_has_connections() -> None:
    room = Room(2)
    assert [room.enter("a") for _ in range(3)] == [True, True, False]
    assert not room.is_short


def test_when_it_gets_narrow_those_too_many_are_told_to_leave_and_the_others_stay() -> None:
    room = Room(4)
    assert all(room.enter("a") for _ in range(4))
    room.slowed(0)
    left = 0
    while room.is_short:
        room.leave("a")
        left += 1
    assert left == 2
    assert not room.enter("a")


async def test_whoever_waits_enters_in_turn_when_another_leaves() -> None:
    room = room_for(1)
    assert room.enter("a")
    first, second, third = await soon(room.wait("a", 1), room.wait("a", 2), room.wait("a", 1))
    for waiting, others in ((first, (second, third)), (third, (second,)), (second, ())):
        room.leave("a")
        assert await waiting, "a run that came first is done with first"
        assert not any(other.done() for other in others)
        assert not room.enter("a")


async def test_a_place_that_is_free_goes_to_the_campaign_that_has_the_fewest() -> None:
    room = Room(5)
    assert all(room.enter(campaign) for campaign in "aaaab")
    of_a, of_b, of_c = await soon(room.wait("a", 1), room.wait("b", 2), room.wait("c", 3))
    room.leave("a")
    assert await of_c
    room.leave("a")
    assert await of_b
    assert not of_a.done()


async def test_a_place_is_wanted_for_a_campaign_that_waits_and_has_fewer() -> None:
    room, now = Room(5), time.monotonic()
    assert all(room.enter(campaign) for campaign in "aaabb")
    assert not room.is_wanted("a", now), "nobody waits"
    waits = await soon(room.wait("a", 1), room.wait("b", 2))
    assert not room.is_wanted("a", now), "one place more is as fair as can be"
    waits += await soon(room.wait("c", 3))
    assert room.is_wanted("a", now)
    assert room.is_wanted("b", now)
    room.leave("a")
    assert not room.is_wanted("a", now)
    assert not room.is_wanted("b", now)
    assert await waits[2]
    assert not waits[0].done()
    assert not waits[1].done()


async def test_more_campaigns_than_places_take_turns() -> None:
    room, now = room_for(1), time.monotonic()
    assert room.enter("a")
    (waiting,) = await soon(room.wait("b", 1))
    assert not room.is_wanted("a", now)
    assert room.is_wanted("a", now - TURN_S)
    room.leave("a")
    assert await waiting


async def test_when_it_gets_wider_those_who_wait_enter() -> None:
    room = room_for(1, limit=2)
    assert room.enter("a")
    first, second = await soon(room.wait("a", 1), room.wait("a", 1))
    room.worked(room.congestion.cuts)
    assert await first
    assert not second.done()


async def test_whoever_has_nothing_left_to_do_waits_no_longer_and_the_others_do() -> None:
    room = room_for(1)
    assert room.enter("a")
    first, other = await soon(room.wait("a", 1), room.wait("a", 2))
    room.let_go("a", 1)
    assert not await first
    assert not other.done()
    room.leave("a")
    assert await other


@pytest.mark.parametrize("is_served", [False, True])
async def test_whoever_is_cancelled_while_he_waits_takes_no_place_with_him(is_served: bool) -> None:
    """Also in the moment in which it has become his."""
    room = room_for(1)
    assert room.enter("a")
    first, second = await soon(room.wait("a", 1), room.wait("b", 2))
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

    def name_of(run: int) -> str:
        return "ab"[run % 2]

    def shake() -> None:
        match chance.randrange(12):
            case 0:
                room.slowed(room.congestion.cuts)
            case 1:
                room.restarted()
            case 2:
                run = chance.randrange(3)
                room.let_go(name_of(run), run)
            case _:
                room.worked(room.congestion.cuts)

    async def enters(run: int) -> bool:
        if not (room.enter(name_of(run)) or await room.wait(name_of(run), run)):
            return False
        if room.is_short:  # it got narrow in the moment in which the place became his
            room.leave(name_of(run))
            return False
        return True

    async def lane(run: int) -> None:
        nonlocal begun, done
        for _ in range(20):
            while not await enters(run):
                pass
            begun += 1
            try:
                assert begun <= room.congestion.width
                await asyncio.sleep(0)
                shake()
            finally:
                begun -= 1
                room.leave(name_of(run))
            done += 1

    lanes = [asyncio.create_task(lane(number % 3)) for number in range(12)]
    for task in lanes[:2]:
        await asyncio.sleep(0)
        task.cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(*lanes, return_exceptions=True)
    assert done >= 200
    assert [task for task in lanes[2:] if task.exception()] == []
