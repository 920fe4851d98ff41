"""Plans: what is sent in one round and what goes wrong meanwhile, made from a seed, and made smaller when it fails."""

import random
from collections.abc import Iterator
from typing import Literal

import msgspec

from tests.faults.steps import Step

STEPS = tuple(Step)
ON_WIRE = (Step.MAIL, Step.RCPT, Step.DATA, Step.BODY, Step.DOT, Step.FSYNCED, Step.REPLIED)
_KINDS = {
    "kill_worker": 40,
    "kill_redis": 9,
    "failpoint": 14,
    "kill_producer": 3,
    "stop": 3,
    "term": 2,
    "term_twice": 1,
    "cut": 2,
    "reset": 1,
    "cut_stream": 3,
    "io_error": 3,
    "421": 2,
    "4xx": 2,
    "5xx": 1,
    "tarpit": 1,
    "out_of_memory": 1,
    "no_replicas": 1,
    "read_only": 1,
    "retry": 1,
    "resolve": 1,
    "pause": 1,
    "cancel": 1,
}
_WITHOUT_STEP = ("out_of_memory", "no_replicas", "read_only", "retry", "resolve", "pause", "cancel")
_ANY_TIME = ("kill_worker", "kill_redis", "term", "term_twice", "stop")
_HARMLESS = ("cut", "reset", "421", "4xx", "5xx", "tarpit")
_POINTS = ("after_claim", "before_mark", "after_mark", "dot_written", "reply_read", "before_record", "after_record")
_LASTS_S = {"kill_redis": (0.05, 0.6), "stop": (0.3, 2.5), "tarpit": (0.1, 0.6), "roll_back": (0.2, 0.2)}
"""From when to when something lasts; the refusal of writes likewise, up to two leases."""


class Fault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that goes wrong: at the `count`-th time the relay sees a step, or so many seconds after the start.

    A `roll_back` forgets what was written in the last `after_s` seconds before its step. A `failpoint` is that of one
    of the first workers, a `successor_failpoint` that of the one which replaces the first that has ended.
    """

    kind: str
    step: Step | None = None
    count: int = 1
    after_s: float = 0.0
    point: str = ""
    for_s: float = 0.2
    """How long a queue server stays away or refuses, a process stands still, a relay is slow."""
    direction: Literal["up", "down"] = "up"
    byte: int = 0
    """A `cut_stream` ends the `count`-th connection behind this byte from the worker (`up`) or from the relay."""


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One round. The same plan goes the same way, as far as processes on one machine can."""

    seed: int = 0
    people: int = 6
    workers: int = 1
    producers: int = 1
    chunk: int = 3
    connections: int = 1
    pipelining: Literal["auto", "off", "full"] = "auto"
    body_bytes: int = 0
    on_doubt: Literal["hold", "resend"] = "hold"
    refused: tuple[int, ...] = ()
    greylisted: tuple[int, ...] = ()
    refused_at_dot: tuple[int, ...] = ()
    faults: tuple[Fault, ...] = ()
    deadline_s: float = 50.0
    """How long it may take until nobody is open any more; most rounds are over in two seconds."""

    @property
    def words(self) -> str:
        """In one line, to be given to `--plan`."""
        return msgspec.json.encode(self).decode()


def read_plan(words: str) -> Plan:
    """A plan from its line."""
    return msgspec.json.decode(words, type=Plan)


def random_plan(seed: int) -> Plan:
    """The plan of a seed."""
    rng = random.Random(seed)
    people = rng.randint(5, 16) if rng.random() < 0.9 else rng.randint(17, 40)
    special = rng.sample(range(people), rng.randint(0, 3))
    kinds = [rng.randrange(3) for _ in special]
    return Plan(
        seed=seed,
        people=people,
        workers=rng.choice((1, 1, 2, 2, 3)),
        producers=rng.choice((1, 1, 1, 2)),
        chunk=rng.randint(2, 12),
        connections=rng.randint(1, 3),
        pipelining=rng.choice(("auto", "full", "off")),
        body_bytes=rng.choice((0, 0, 0, 3000, 200_000)),
        on_doubt="resend" if rng.random() < 0.15 else "hold",
        refused=tuple(sorted(who for who, kind in zip(special, kinds, strict=True) if kind == 0)),
        greylisted=tuple(sorted(who for who, kind in zip(special, kinds, strict=True) if kind == 1)),
        refused_at_dot=tuple(sorted(who for who, kind in zip(special, kinds, strict=True) if kind == 2)),
        faults=_faults(rng, people),
    )


def _faults(rng: random.Random, people: int) -> tuple[Fault, ...]:
    if rng.random() < 0.06:
        # Together with the end of a worker within that second, nobody could know what has been forgotten.
        others = [fault for fault in (_fault(rng, people) for _ in range(3)) if fault.kind in _HARMLESS]
        step, count = rng.choice(ON_WIRE), rng.randint(2, people)
        return (Fault(kind="roll_back", step=step, count=count, after_s=rng.uniform(0, 1)), *others)
    return tuple(_fault(rng, people) for _ in range(rng.choice((2, 4, 8, 12, 16, 20, 24, 28))))


def _fault(rng: random.Random, people: int) -> Fault:
    kind = rng.choices(list(_KINDS), list(_KINDS.values()))[0]
    for_s = round(rng.uniform(*_LASTS_S.get(kind, (0.1, 2.0))), 2)
    if kind == "failpoint":
        return Fault(kind=kind, point=f"{rng.choice(_POINTS)}:{rng.randint(1, people)}")
    if kind == "io_error":
        where = rng.choice(("redis_call", "redis_answer", "smtp_write"))
        return Fault(kind=kind, point=f"{where}:{rng.randint(1, 12 if where == 'smtp_write' else 80)}")
    if kind == "kill_producer":
        if rng.random() < 0.5:
            return Fault(kind=kind, point=f"after_accept:{rng.randint(1, people)}")
        return Fault(kind=kind, after_s=rng.uniform(0, 0.03))
    if kind == "cut_stream":
        # The handshakes are over behind some 900 bytes from the worker, and 2500 from the relay.
        most = 900 + 600 * people if rng.random() < 0.7 else 900
        direction: Literal["up", "down"] = "up" if rng.random() < 0.5 else "down"
        return Fault(kind=kind, count=rng.randint(1, 2), direction=direction, byte=rng.randint(0, most))
    if kind in _WITHOUT_STEP or (kind in _ANY_TIME and rng.random() < 0.2):
        late = 2.0 if kind in ("retry", "resolve") else 0.3
        return Fault(kind=kind, after_s=rng.uniform(0, late), for_s=for_s)
    step = rng.choice(STEPS if rng.random() < 0.3 else ON_WIRE)
    if kind in ("421", "4xx", "5xx"):
        # At MAIL a no is about the route, which rests for minutes then, or about the sender.
        step = rng.choice((Step.RCPT, Step.DATA, Step.DOT) if kind != "5xx" else (Step.RCPT, Step.DOT))
    return Fault(kind=kind, step=step, count=rng.randint(1, people if step in ON_WIRE else 2), for_s=for_s)


def smaller(plan: Plan) -> Iterator[Plan]:
    """Plans with a little less in them, the greatest steps first."""
    replace = msgspec.structs.replace
    for place in range(len(plan.faults)):
        yield replace(plan, faults=plan.faults[:place] + plan.faults[place + 1 :])
    for name in ("refused", "greylisted", "refused_at_dot"):
        if getattr(plan, name):
            yield replace(plan, **{name: ()})
    for name, least in (
        ("producers", 1),
        ("workers", 1),
        ("connections", 1),
        ("body_bytes", 0),
        ("pipelining", "auto"),
        ("on_doubt", "hold"),
    ):
        if getattr(plan, name) != least:
            yield replace(plan, **{name: least})
    if plan.people > 1:
        for people in {max(1, plan.people // 2), plan.people - 1}:
            yield replace(
                plan,
                people=people,
                refused=tuple(who for who in plan.refused if who < people),
                greylisted=tuple(who for who in plan.greylisted if who < people),
                refused_at_dot=tuple(who for who in plan.refused_at_dot if who < people),
            )
