"""A worker's memory: long enough for a rollback, and bounded."""

import time

from mailer.backends.redis.remembered import Memory, Operation


def operation(index: int, letter: str = "g", *, answered: bool = True) -> Operation:
    """A mark, or an outcome."""
    return Operation("news", 0, index, "me.1", letter, "a@x.test", counted=int(letter != "g"), is_answered=answered)


def remembered(memory: Memory) -> list[tuple[int, str]]:
    return [(one.index, one.letter) for one in memory]


async def test_an_outcome_takes_the_place_of_its_mark() -> None:
    memory = Memory()
    for index, letter in ((0, "g"), (1, "g"), (0, "S")):
        memory.keep(operation(index, letter), time.monotonic())
    assert remembered(memory) == [(0, "S"), (1, "g")]
    assert list(memory.by_chunk()) == [("news", 0)]


async def test_what_the_server_cannot_forget_any_more_is_forgotten() -> None:
    memory = Memory(keep_s=0.0)
    for index in range(3):
        memory.keep(operation(index), time.monotonic())
    memory.forget()
    assert remembered(memory) == []


async def test_nothing_grows_old_while_nobody_knows_what_the_server_has() -> None:
    memory = Memory(keep_s=0.0)
    for index in range(3):
        memory.keep(operation(index), time.monotonic())
    assert len(memory) == 3


async def test_what_is_young_is_kept() -> None:
    memory = Memory(keep_s=60.0)
    memory.keep(operation(0), time.monotonic())
    memory.forget()
    assert remembered(memory) == [(0, "g")]


async def test_what_nobody_has_written_is_kept_however_old_it_is() -> None:
    memory = Memory(keep_s=0.0)
    memory.keep(operation(0, "S", answered=False), time.monotonic())
    for index in (1, 2):
        memory.keep(operation(index, "S"), time.monotonic())
    memory.forget()
    assert remembered(memory) == [(0, "S")]


async def test_there_is_an_end_to_what_is_kept() -> None:
    memory = Memory(most=10)
    for index in range(1000):
        memory.keep(operation(index), time.monotonic())
    assert [index for index, _ in remembered(memory)] == list(range(990, 1000))
