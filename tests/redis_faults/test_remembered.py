"""A worker's memory: long enough for a rollback, and bounded."""

import asyncio

from mailer.backends.redis.remembered import Memory, Operation


def operation(index: int, letter: str = "g", *, answered: bool = True) -> Operation:
    """A mark, or an outcome."""
    answer = asyncio.get_running_loop().create_future()
    if answered:
        answer.set_result(1)
    if letter == "g":
        return Operation("news", ("m", 0, index, "me.1", "a@x.test"), answer)
    return Operation("news", ("o", 0, index, "me.1", letter, 1, 0, b"", "a@x.test", b""), answer)


def remembered(memory: Memory) -> list[tuple[int, str]]:
    return [(one.index, one.letter) for one in memory]


async def test_an_outcome_takes_the_place_of_its_mark() -> None:
    memory = Memory()
    for index, letter in ((0, "g"), (1, "g"), (0, "S")):
        memory.keep(operation(index, letter))
    assert remembered(memory) == [(1, "g"), (0, "S")]
    assert list(memory.by_chunk()) == [("news", 0)]


async def test_what_the_server_cannot_forget_any_more_is_forgotten() -> None:
    memory = Memory(keep_s=0.0)
    for index in range(3):
        memory.keep(operation(index))
        await asyncio.sleep(0.001)
    assert remembered(memory) == [(2, "g")]


async def test_what_nobody_has_written_is_kept_however_old_it_is() -> None:
    memory = Memory(keep_s=0.0)
    memory.keep(operation(0, "S", answered=False))
    await asyncio.sleep(0.001)
    for index in (1, 2):
        memory.keep(operation(index, "S"))
        await asyncio.sleep(0.001)
    assert (0, "S") in remembered(memory)
    assert len(memory) <= 2


async def test_there_is_an_end_to_what_is_kept() -> None:
    memory = Memory(most=10)
    for index in range(1000):
        memory.keep(operation(index))
    assert [index for index, _ in remembered(memory)] == list(range(990, 1000))
