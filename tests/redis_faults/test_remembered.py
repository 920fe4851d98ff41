"""A worker's memory: long enough for a rollback, and bounded."""

import random
import time
import tracemalloc

import pytest
import structlog.testing
from msgspec import structs

from mailer.backends.redis.events import event_of, frame
from mailer.backends.redis.operation import Operation
from mailer.backends.redis.remembered import Memory
from mailer.vocabulary.chunk import Attempt
from mailer.vocabulary.reply import Reply
from tests.ledger.campaigns import SENT

OVER, OTHER = "me.1", "me.2"
"""Tokens of two claims."""


def operation(index: int, letter: str = "g", *, answered: bool = True, token: str = OVER) -> Operation:
    """A mark, or an outcome."""
    return Operation("news", 0, index, token, letter, "a@x.test", counted=int(letter != "g"), is_answered=answered)


def accepted(index: int, token: str = OVER) -> Operation:
    """An outcome as a relay brings it about."""
    outcome = structs.replace(SENT, reply=Reply(250, "2.0.0", f"Ok: queued as {index * 7919:010X}"))
    attempt = Attempt(
        begun_ms=1_750_000_000_000 + index,
        ended_ms=1_750_000_000_030 + index,
        smtp_ms=30,
        relay="relay.acme.test:587",
        tls="TLSv1.3",
        worker="mailhost:4242",
    )
    return Operation(
        "october-invoices-7f3c",
        4_000,
        index,
        token,
        "S",
        f"somebody.{index}@x{index % 40}.test",
        counted=1,
        event=frame(event_of(index, outcome, attempt)),
        claimed_ms=1_750_000_000_000,
        is_answered=True,
    )


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


async def test_a_claim_that_has_ended_is_remembered_as_it_was() -> None:
    memory = Memory()
    operations = [
        accepted(3),
        structs.replace(accepted(1), letter="g", counted=0, event=b""),
        structs.replace(accepted(2), letter="d", due_ms=1_750_000_060_000, told=True),
        structs.replace(accepted(0), letter="R", note='{"reason":"550"}'),
    ]
    for at, one in enumerate(operations):
        memory.keep(one, float(at))
    before = [structs.asdict(one) for one in operations]
    memory.stow(OVER)
    assert len(memory) == 4
    assert [structs.asdict(one) for one in memory] == before


async def test_a_claim_that_has_ended_takes_few_bytes() -> None:
    memory = Memory()
    tracemalloc.start()
    try:
        for token in (OVER, OTHER):
            before, _ = tracemalloc.get_traced_memory()
            for index in range(300):
                memory.keep(accepted(index, token), time.monotonic())
            memory.stow(token)
            taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken / 300 < 100


async def test_what_comes_after_the_end_of_a_claim_is_remembered_in_place_of_what_was() -> None:
    memory = Memory()
    for index in (0, 1):
        memory.keep(operation(index), time.monotonic())
    memory.stow(OVER)
    memory.keep(operation(0, "S", answered=False), time.monotonic())
    assert len(memory) == 2
    memory.stow(OVER)
    assert remembered(memory) == [(0, "S"), (1, "g")]


async def test_what_is_stowed_is_forgotten_when_the_youngest_of_it_is_old() -> None:
    memory = Memory(keep_s=60.0)
    now = time.monotonic()
    for token, youngest in ((OVER, now - 61), (OTHER, now - 59)):
        for index, at in enumerate((now - 62, youngest)):
            memory.keep(operation(index, token=token), at)
        memory.stow(token)
    memory.forget()
    assert len(memory) == 2
    assert {one.token for one in memory} == {OTHER}
    memory.forget()
    assert remembered(memory) == [(1, "g")], "what was read is forgotten one by one"


async def test_what_nobody_has_written_is_kept_though_its_claim_has_ended() -> None:
    memory = Memory(keep_s=0.0)
    memory.keep(operation(0, "S"), time.monotonic())
    memory.keep(operation(1, "S", answered=False), time.monotonic())
    memory.stow(OVER)
    memory.forget()
    assert remembered(memory) == [(1, "S")]


async def test_a_claim_of_which_nothing_is_remembered_may_end() -> None:
    memory = Memory()
    memory.stow(OVER)
    assert len(memory) == 0
    assert remembered(memory) == []


async def test_there_is_an_end_to_what_is_stowed_and_not_one_too_many_goes() -> None:
    memory = Memory(most=10)
    for index in range(1000):
        token = f"me.{index // 4}"
        memory.keep(operation(index, token=token), time.monotonic())
        if index % 4 == 3:
            memory.stow(token)
        assert len(memory) == min(index + 1, 10)
    assert [index for index, _ in remembered(memory)] == list(range(990, 1000))


async def test_the_claims_are_told_in_the_order_they_began_whichever_ended_first() -> None:
    memory = Memory()
    for index, token in enumerate((OVER, OTHER, OVER)):
        memory.keep(operation(index, token=token), time.monotonic())
    memory.stow(OVER)
    assert [index for index, _ in remembered(memory)] == [0, 2, 1]


@pytest.mark.parametrize("seed", range(8))
async def test_to_whom_reads_it_makes_no_difference_what_was_stowed(seed: int) -> None:
    rng = random.Random(seed)
    plain, stowing = Memory(most=40), Memory(most=40)
    for at in range(500):
        token, index, letter = f"me.{(at + rng.randrange(40)) // 40}", rng.randrange(20), rng.choice("gSdq")
        is_answered = rng.random() < 0.9
        for memory in (plain, stowing):
            memory.keep(operation(index, letter, answered=is_answered, token=token), float(at))
        if rng.random() < 0.3:
            stowing.stow(f"me.{at // 40 - rng.randrange(2)}")
        if rng.random() < 0.01:
            assert len(list(stowing)) == len(plain)
    assert [structs.asdict(one) for one in stowing] == [structs.asdict(one) for one in plain]
    assert len(plain) == len(stowing) == len(list(stowing))


@pytest.mark.parametrize("ends", ["before it is told", "while it is told", "never"])
async def test_what_is_lost_is_told_once_whenever_its_claim_has_ended(ends: str) -> None:
    memory = Memory()
    memory.keep(accepted(0), time.monotonic())
    with structlog.testing.capture_logs() as logs:
        if ends == "before it is told":
            memory.stow(OVER)
        for _ in range(2):
            for chunk in memory.by_chunk().values():
                if ends == "while it is told":
                    memory.stow(OVER)
                for one in chunk:
                    one.tell()
    assert [(line["index"], line["state"], line["code"]) for line in logs] == [(0, "sent", 250)]


async def test_what_was_told_before_its_claim_ended_is_not_told_again() -> None:
    memory = Memory()
    lost = accepted(0)
    memory.keep(lost, time.monotonic())
    with structlog.testing.capture_logs() as logs:
        lost.tell()
        memory.stow(OVER)
        for one in memory:
            one.tell()
    assert len(logs) == 1
