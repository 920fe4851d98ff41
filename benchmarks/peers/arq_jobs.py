"""arq as its documentation shows it: one job a recipient, which renders and sends with aiosmtplib.

Its defaults (10 jobs at once, a look at the queue every 0.5 s) come to 20 messages a second; here it may hold 100 jobs
and looks every 50 ms, and the connections are kept between jobs.
"""

import asyncio
import ssl
import sys
from pathlib import Path
from typing import Any

from benchmarks.by_the_book import Book, rows
from benchmarks.course import Course, Runner
from benchmarks.crew import Crew

MODULE = "benchmarks.peers.arq_jobs"


async def startup(ctx: dict[str, Any]) -> None:
    """Open the connections of a worker."""
    import aiosmtplib

    course = Course.given()
    context = ssl.create_default_context(cafile=course.ca_file)
    ctx["book"] = Book(Path(course.folder))
    ctx["clients"] = asyncio.Queue()
    for _ in range(course.connections):
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=course.tls_port, start_tls=True, tls_context=context)
        await client.connect()
        ctx["clients"].put_nowait(client)


async def send_letter(ctx: dict[str, Any], row: dict[str, str]) -> None:
    """The job."""
    client = await ctx["clients"].get()
    try:
        await client.send_message(ctx["book"].message(row))
    finally:
        ctx["clients"].put_nowait(client)


async def work(course: Course) -> None:
    """Be a worker."""
    from arq.connections import RedisSettings
    from arq.worker import Worker

    worker = Worker(
        functions=[send_letter],
        redis_settings=RedisSettings(unix_socket_path=course.queue_socket),
        on_startup=startup,
        max_jobs=100,
        poll_delay=0.05,
    )
    print("ready", flush=True)
    await worker.async_run()


async def enqueue(course: Course) -> None:
    """Be the script that fills the queue."""
    from arq import create_pool
    from arq.connections import RedisSettings

    redis = await create_pool(RedisSettings(unix_socket_path=course.queue_socket))
    for row in rows(Path(course.folder)):
        await redis.enqueue_job("send_letter", row)
    await redis.aclose()


def ready(course: Course, crew: Crew) -> None:
    """Start the workers."""
    for number in range(course.processes):
        crew.start(f"worker{number}", [sys.executable, "-m", MODULE, "work"], environ=course.environ())
        crew.until_said(f"worker{number}", "ready")


def go(course: Course, crew: Crew) -> None:
    """Start the producer."""
    crew.start("producer", [sys.executable, "-m", MODULE, "enqueue"], environ=course.environ())


RUNNERS = (
    Runner(
        name="arq",
        what="one arq job a recipient, EmailMessage and aiosmtplib's send_message over kept connections",
        ready=ready,
        go=go,
        needs_queue=True,
    ),
)

if __name__ == "__main__":
    asyncio.run((work if sys.argv[1] == "work" else enqueue)(Course.given()))
