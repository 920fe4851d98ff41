"""aiosmtplib without a queue: as many connections as ours, `send_message` on each."""

import asyncio
import sys
from pathlib import Path

from benchmarks.by_the_book import Book, rows
from benchmarks.course import Course, Runner
from benchmarks.crew import Crew


def go(course: Course, crew: Crew) -> None:
    """Start it."""
    crew.start("loop", [sys.executable, "-m", "benchmarks.peers.aiosmtplib_loop"], environ=course.environ())


async def main(course: Course) -> None:
    """Be the script."""
    import ssl

    import aiosmtplib

    folder = Path(course.folder)
    book = Book(folder)
    waiting = rows(folder)
    context = ssl.create_default_context(cafile=course.ca_file)

    async def send() -> None:
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=course.tls_port, start_tls=True, tls_context=context)
        async with client:
            for row in waiting:
                await client.send_message(book.message(row))

    async with asyncio.TaskGroup() as group:
        for _ in range(course.connections):
            group.create_task(send())


RUNNERS = (Runner(name="aiosmtplib", what="send_message over as many connections as ours, STARTTLS, no queue", go=go),)

if __name__ == "__main__":
    asyncio.run(main(Course.given()))
