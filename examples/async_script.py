"""An asynchronous program: recipients from an async generator, events as they happen, a report in files.

    python examples/async_script.py [FOLDER]

The mail server is the one of MAILER_SMTP_URL; to try without one, `mailer capture` prints the variables to export.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from mailer import AsyncMailer, Campaign

TEMPLATE = Path(__file__).resolve().parent.parent / "templates" / "note"


async def members() -> AsyncIterator[dict[str, object]]:
    """Stands for an async database cursor or an HTTP API; nothing of it is kept in memory."""
    for number in range(1, 31):
        await asyncio.sleep(0)
        yield {"email": f"member-{number}@example.com", "first_name": f"Member {number}"}
    # The server of `mailer capture` refuses this one.
    yield {"email": "bounce+550-members@example.com", "first_name": "Zoe"}


async def main(folder: str) -> None:
    """Send, listen, save."""
    campaign = Campaign(
        name="members",
        template=str(TEMPLATE),
        sender="Acme <office@acme.example>",
        recipients=members(),
        key="members-2026-11",
    )
    async with AsyncMailer.from_env() as mailer:
        handle = await mailer.enqueue(campaign, rate="100/s")
        # Every outcome of every recipient, once, from the beginning; also for whoever begins to listen later.
        async for event in handle.events():
            if event.state == "refused":
                print(event.email, event.code, event.enhanced_code, event.text)
        report = await handle.report()
        for path in await report.save(folder, formats=("html", "csv", "json")):
            print(path)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "members-report"))
