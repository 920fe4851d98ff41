"""Slots: processes that carry out rounds side by side; while one waits for a lease to end, others work."""

import asyncio
import os
import signal
import tempfile
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from mailer.worker.event_loop import new_event_loop
from tests.faults import nursery
from tests.faults.plans import Plan, read_plan
from tests.faults.rounds import Bench
from tests.relays.certificates import good

_PAGE = 4096
"""What a pipe takes and gives in one piece."""
_MOST_WORDS = 3000


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a slot says of one round."""

    seed: int
    plan: str
    violations: list[str]
    figures: dict[str, int]
    kills: int
    seconds: float
    folder: str = ""


def scratch() -> Path:
    """A new folder, in memory where there is such a place: nothing here has to outlive the machine."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix="mailer-faults-", dir=place))


def carry_out(plans: Iterable[Plan], *, slots: int, mutant: str = "") -> Iterator[Told]:
    """Carry out these plans, so many at a time; tells them as they end."""
    waiting = iter(plans)
    tokens, give = os.pipe()
    hear, tell = os.pipe()
    children = [_slot(tokens, tell, mutant, (give, hear)) for _ in range(slots)]
    os.close(tokens)
    os.close(tell)
    given = ended = 0
    try:
        for plan in _first(waiting, slots + 2):
            os.write(give, _page(plan))
            given += 1
        with os.fdopen(hear, "rb") as lines:
            while ended < given:
                line = lines.readline()
                if not line:
                    raise RuntimeError("a slot has ended early")
                ended += 1
                yield msgspec.json.decode(line, type=Told)
                for plan in _first(waiting, 1):
                    os.write(give, _page(plan))
                    given += 1
    finally:
        os.close(give)
        for child in children:
            os.kill(child, signal.SIGTERM)
        for child in children:
            os.waitpid(child, 0)


def _first(plans: Iterator[Plan], count: int) -> Iterator[Plan]:
    for _, plan in zip(range(count), plans, strict=False):
        yield plan


def _page(plan: Plan) -> bytes:
    """All plans are of one length in the pipe that many read from: none gets a piece of another's."""
    words = plan.words.encode()
    assert len(words) < _PAGE, "a plan is too long"
    return words.ljust(_PAGE)


def _slot(tokens: int, tell: int, mutant: str, others: tuple[int, ...]) -> int:
    """Fork a slot; it ends when there are no more plans."""
    certificates = good()
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for descriptor in others:
            os.close(descriptor)
        bench = Bench(scratch(), nursery.forked(), certificates)

        def leave(*_: object) -> None:
            # Wherever it was: what was begun to be closed in order may hold locks.
            bench.abandon()
            os._exit(0)

        signal.signal(signal.SIGTERM, leave)
        while page := os.read(tokens, _PAGE):
            os.write(tell, _one(bench, read_plan(page.decode()), mutant))
        bench.abandon()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def _one(bench: Bench, plan: Plan, mutant: str) -> bytes:
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            result = runner.run(bench.carry_out(plan, mutant=mutant))
    except Exception:
        bench.queue.empty()
        words = traceback.format_exc()[-_MOST_WORDS:]
        told = Told(seed=plan.seed, plan=plan.words, violations=[words], figures={"unexpected": 1}, kills=0, seconds=0)
    else:
        told = Told(
            seed=plan.seed,
            plan=plan.words,
            violations=[words[:300] for words in result.violations[:8]],
            figures=dict(result.tally.figures),
            kills=result.kills,
            seconds=result.seconds,
            folder=str(result.folder or ""),
        )
    return msgspec.json.encode(told) + b"\n"
