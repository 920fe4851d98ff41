"""The fixtures. Each test gets a post office, or a mail server and a queue, of its own."""

import asyncio
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailer.testing.messages import Outbox

if TYPE_CHECKING:
    from mailer.capture.server import CaptureServer
    from mailer.testing.memory import MemoryMailer

KEPT = 100_000
"""Messages that `outbox` can show; the counts of `smtp_capture.mailbox` are exact beyond."""


@pytest.fixture
def smtp_capture(monkeypatch: pytest.MonkeyPatch) -> "Iterator[CaptureServer]":
    """A running capture server; its URL, its CA and a fresh embedded queue are in the environment."""
    from mailer.backends import embedded

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
def outbox(smtp_capture: "CaptureServer") -> Outbox:
    """The messages the capture server has taken, as `email.message.EmailMessage`."""
    mailbox = smtp_capture.mailbox
    return Outbox(lambda: [message.content for message in mailbox][::-1])


@pytest.fixture
def memory_mailer(monkeypatch: pytest.MonkeyPatch) -> "MemoryMailer":
    """A mailer in memory that every `Campaign.send()`, `Mailer.from_env()` and `AsyncMailer.from_env()` uses, too."""
    from mailer.api import opening
    from mailer.testing.desk import MemoryDesk
    from mailer.testing.memory import MemoryMailer

    mailer = MemoryMailer()

    def desk_of(path: str | Path | None, env_file: str | Path | None, settings: Mapping[str, object]) -> MemoryDesk:
        return MemoryDesk(mailer.post, path, dict(os.environ), env_file, settings)

    monkeypatch.setattr(opening, "desk_of", desk_of)
    return mailer


@contextmanager
def running_capture(folder: Path) -> "Iterator[CaptureServer]":
    """A capture server in a thread of its own: the program under test may block."""
    from mailer.capture.mailbox import Mailbox
    from mailer.capture.server import CaptureServer

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
