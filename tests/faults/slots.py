"""Slots: processes that carry out rounds side by side; while one waits for a lease to end, others work."""

import asyncio
import os
import signal
import struct
import tempfile
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from tests.faults import nursery
from tests.faults.plans import Plan, random_plan
from tests.faults.rounds import Bench
from tests.relays.certificates import good

_TOKEN = struct.Struct("q")
_MOST_WORDS = 3000


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a slot says of one round."""

    seed: int
    violations: list[str]
    figures: dict[str, int]
    kills: int
    seconds: float
    folder: str = ""


def scratch() -> Path:
    """A new folder, in memory where there is such a place: nothing here has to outlive the machine."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix="mailer-faults-", dir=place))


def carry_out(seeds: Iterable[int], *, slots: int, mutant: str = "") -> Iterator[Told]:
    """Carry out the plans of these seeds, so many at a time; tells them as they end."""
    waiting = iter(seeds)
    tokens, give = os.pipe()
    hear, tell = os.pipe()
    children = [_slot(tokens, tell, mutant, (give, hear)) for _ in range(slots)]
    os.close(tokens)
    os.close(tell)
    given = ended = 0
    try:
        for seed in _first(waiting, slots + 2):
            os.write(give, _TOKEN.pack(seed))
            given += 1
        with os.fdopen(hear, "rb") as lines:
            while ended < given:
                line = lines.readline()
                if not line:
                    raise RuntimeError("a slot has ended early")
                ended += 1
                yield msgspec.json.decode(line, type=Told)
                for seed in _first(waiting, 1):
                    os.write(give, _TOKEN.pack(seed))
                    given += 1
    finally:
        os.close(give)
        for child in children:
            os.kill(child, signal.SIGTERM)
        for child in children:
            os.waitpid(child, 0)


def _first(seeds: Iterator[int], count: int) -> Iterator[int]:
    for _, seed in zip(range(count), seeds, strict=False):
        yield seed


def _slot(tokens: int, tell: int, mutant: str, others: tuple[int, ...]) -> int:
    """Fork a slot; it ends when there are no more seeds."""
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
            bench.close()
            os._exit(0)

        signal.signal(signal.SIGTERM, leave)
        while token := os.read(tokens, _TOKEN.size):
            os.write(tell, _one(bench, random_plan(_TOKEN.unpack(token)[0]), mutant))
        bench.close()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def _one(bench: Bench, plan: Plan, mutant: str) -> bytes:
    try:
        result = asyncio.run(bench.carry_out(plan, mutant=mutant))
    except Exception:
        bench.queue.empty()
        words = traceback.format_exc()[-_MOST_WORDS:]
        told = Told(seed=plan.seed, violations=[words], figures={"unexpected": 1}, kills=0, seconds=0)
    else:
        told = Told(
            seed=plan.seed,
            violations=[words[:300] for words in result.violations[:8]],
            figures=dict(result.tally.figures),
            kills=result.kills,
            seconds=result.seconds,
            folder=str(result.folder or ""),
        )
    return msgspec.json.encode(told) + b"\n"
