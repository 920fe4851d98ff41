"""Fixtures for the tests of a project that sends with mailer: `pytest_plugins = ["mailer.testing"]` in its conftest.

Each test gets a mail server of its own that delivers nothing, and a queue of its own that is gone afterwards.
"""

import asyncio
import email
import email.policy
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import overload

import pytest

from mailer.backends import embedded
from mailer.capture.mailbox import Mailbox
from mailer.capture.server import CaptureServer

KEPT = 100_000
"""Messages that `outbox` can show; the counts of `smtp_capture.mailbox` are exact beyond."""


class Outbox(Sequence[EmailMessage]):
    """What the server has taken, oldest first, parsed with the standard library; always as of now."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    def __len__(self) -> int:
        return len(self._mailbox)

    @overload
    def __getitem__(self, index: int) -> EmailMessage: ...

    @overload
    def __getitem__(self, index: slice) -> list[EmailMessage]: ...

    def __getitem__(self, index: int | slice) -> EmailMessage | list[EmailMessage]:
        taken = list(self._mailbox)[::-1]
        if isinstance(index, slice):
            return [_parsed(message.content) for message in taken[index]]
        return _parsed(taken[index].content)


@pytest.fixture
def smtp_capture(monkeypatch: pytest.MonkeyPatch) -> Iterator[CaptureServer]:
    """A running capture server; its URL, its CA and a fresh embedded queue are in the environment."""
    # Short, because a Unix socket's path has hardly a hundred characters.
    with tempfile.TemporaryDirectory(prefix="mailer-") as folder:
        queue = Path(folder, "queue")
        with running_capture(Path(folder, "capture")) as server:
            for name in ("MAILER_REDIS_URL", "MAILER_QUEUE__URL", "MAILER_CONFIG"):
                monkeypatch.delenv(name, raising=False)
            monkeypatch.setenv("MAILER_SMTP_URL", server.url)
            monkeypatch.setenv("MAILER_SMTP_CA_FILE", str(server.ca_file))
            monkeypatch.setenv("MAILER_DATA_DIR", str(queue))
            try:
                yield server
            finally:
                embedded.stop(queue)


@pytest.fixture
def outbox(smtp_capture: CaptureServer) -> Outbox:
    """The messages the capture server has taken, as `email.message.EmailMessage`."""
    return Outbox(smtp_capture.mailbox)


@contextmanager
def running_capture(folder: Path) -> Iterator[CaptureServer]:
    """A capture server in a thread of its own: the program under test may block."""
    loop = asyncio.new_event_loop()
    over = asyncio.Event()
    ready = threading.Event()
    server = CaptureServer(folder, port=0, mailbox=Mailbox(keep=KEPT, keep_bytes=2**30))
    failed: list[BaseException] = []

    async def serve() -> None:
        try:
            async with server:
                ready.set()
                await over.wait()
        except BaseException as error:
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="smtp-capture")
    thread.start()
    ready.wait()
    try:
        if failed:
            raise failed[0]
        yield server
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


def _parsed(content: bytes) -> EmailMessage:
    return email.message_from_bytes(content, policy=email.policy.default)
