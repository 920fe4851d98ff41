"""A campaign in the queue, and a real relay with STARTTLS that takes its messages."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import structs

from mailer.backends.redis.ledgers import Ledgers
from mailer.capture.mailbox import Mailbox
from mailer.capture.server import CaptureServer
from mailer.config.orders import Orders
from mailer.vocabulary.campaign import Campaign
from mailer.vocabulary.chunk import Draft
from mailer.vocabulary.settings import SmtpSettings
from tests.ledger.campaigns import message, running


@asynccontextmanager
async def capture(folder: Path) -> AsyncIterator[CaptureServer]:
    """A relay that keeps what it takes."""
    async with CaptureServer(folder, port=0, mailbox=Mailbox(keep=0)) as server:
        yield server


async def submit(
    ledgers: Ledgers, server: CaptureServer, people: Iterable[str], *, chunk: int = 20, connections: int = 5
) -> Campaign:
    """Put a message to each of these people into the queue."""
    drafts = [Draft(row=row, email=email, content=message(row)) for row, email in enumerate(people, 1)]
    chunks = [drafts[start : start + chunk] for start in range(0, len(drafts), chunk)]
    smtp = SmtpSettings(url=server.url, max_connections=connections, local_hostname="client.test")
    return await running(ledgers, *chunks, smtp=smtp, ca_pem=server.ca_file.read_text())


def orders(ledgers: Ledgers, **changes: Any) -> Orders:
    """What a worker of this ledger is told."""
    told = Orders(queue_url=ledgers.url, prefix=ledgers.keys.prefix, lease_s=1.0, grace_s=5.0)
    return structs.replace(told, **changes)


def taken_twice(server: CaptureServer) -> Counter[str]:
    """Whoever has more than one message."""
    box = server.mailbox
    total = box.accepted_for + box.dropped_for
    return Counter({email: count for email, count in total.items() if count > 1})
