"""The loop of the tutorials: one connection, one message after the other, `send_message`."""

import smtplib
import ssl
import sys
from pathlib import Path

from benchmarks.by_the_book import Book, rows
from benchmarks.course import Course, Runner
from benchmarks.crew import Crew


def go_plain(course: Course, crew: Crew) -> None:
    """Without TLS."""
    crew.start("loop", [sys.executable, "-m", "benchmarks.peers.smtplib_loop", "plain"], environ=course.environ())


def go_starttls(course: Course, crew: Crew) -> None:
    """With STARTTLS."""
    crew.start("loop", [sys.executable, "-m", "benchmarks.peers.smtplib_loop", "starttls"], environ=course.environ())


def main(course: Course, *, tls: bool) -> None:
    """Be the script."""
    folder = Path(course.folder)
    book = Book(folder)
    with smtplib.SMTP("127.0.0.1", course.tls_port if tls else course.plain_port) as server:
        if tls:
            server.starttls(context=ssl.create_default_context(cafile=course.ca_file))
        for row in rows(folder):
            server.send_message(book.message(row))


RUNNERS = (
    Runner(name="smtplib", what="a loop over send_message, one connection, no TLS, no queue", go=go_plain),
    Runner(name="smtplib-starttls", what="the same loop with STARTTLS", go=go_starttls),
)

if __name__ == "__main__":
    main(Course.given(), tls=sys.argv[1] == "starttls")
