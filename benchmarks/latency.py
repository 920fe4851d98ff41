"""Latency: workers are idle, a program enqueues one message, and the relay answers 250.

A connection is replaced after a hundred messages. The sink's stunnel greets a new one only after 200 ms, in which a
client might want to speak TLS at once; whoever meets that waits for it, so the time to a greeting is told, too.
"""

import asyncio
import os
import random
import socket
import time
from typing import Any

from benchmarks import ours
from benchmarks.course import Course
from benchmarks.crew import BenchmarkError
from benchmarks.ground import Ground
from benchmarks.table import number, table

PATIENCE_S = 30.0
LOOK_S = 0.0005
GREETINGS = 5
LONGEST_PAUSE_S = 0.3


def latency(ground: Ground) -> dict[str, Any]:
    """Milliseconds at some percentiles, from the call and from its return to the message at the sink."""
    with ground.lap() as (course, crew):
        ours.workers_wait(course, crew)
        os.environ.update(ours.environ(course))
        samples = asyncio.run(_samples(ground, course))
        crew.complain()
    called, returned, enqueued = ([sample[place] for sample in samples] for place in (0, 1, 2))
    return {
        "messages": len(samples),
        "called_ms": _percentiles(called),
        "returned_ms": _percentiles(returned),
        "enqueue_ms": _percentiles(enqueued),
        "greeting_ms": _percentiles([_greeting_ms(ground) for _ in range(GREETINGS)]),
    }


def _greeting_ms(ground: Ground) -> float:
    """Milliseconds until the sink greets a new connection."""
    begun = time.perf_counter()
    with socket.create_connection(("127.0.0.1", ground.sink.tls_port)) as connection:
        connection.recv(1000)
    return 1000 * (time.perf_counter() - begun)


async def _samples(ground: Ground, course: Course) -> list[tuple[float, float, float]]:
    from mailer import AsyncMailer, Campaign
    from mailer.sources import query as _warm  # noqa: F401 (what is imported on first use is imported now)

    # So that no message meets the same point of somebody's clock.
    chance = random.Random(60)  # noqa: S311 (no secret)
    samples = []
    async with AsyncMailer.from_env() as mailer:
        for place in range(-3, course.messages):
            campaign = Campaign(
                "urgent",
                template="letter",
                sender=course.sender,
                recipients=[
                    {
                        "email": f"one{place}@customer.example",
                        "first_name": "One",
                        "company": "C",
                        "code": "A",
                        "amount": "1",
                    }
                ],
                key=f"urgent {place}",
                folder=course.folder,
            )
            before = ground.sink.count()
            called = time.perf_counter()
            await mailer.enqueue(campaign)
            returned = time.perf_counter()
            while ground.sink.count() == before:
                if time.perf_counter() - returned > PATIENCE_S:
                    raise BenchmarkError(f"the message did not come within {PATIENCE_S:g} s")
                await asyncio.sleep(LOOK_S)
            there = time.perf_counter()
            # The first ones open the connections.
            if place >= 0:
                samples.append((1000 * (there - called), 1000 * (there - returned), 1000 * (returned - called)))
            await asyncio.sleep(chance.uniform(0.02, LONGEST_PAUSE_S))
    return samples


def _percentiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    places = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {name: ordered[min(len(ordered) - 1, int(part * len(ordered)))] for name, part in places.items()}


def latency_table(found: dict[str, Any]) -> str:
    """For people."""
    names = {
        "called_ms": "from the call of enqueue() to the message at the sink",
        "enqueue_ms": "the call itself",
        "returned_ms": "from its return to the message at the sink",
        "greeting_ms": "a new connection to the sink, until it greets",
    }
    head = ("milliseconds", "p50", "p90", "p99", "max")
    return table(head, [(words, *(number(value) for value in found[name].values())) for name, words in names.items()])
