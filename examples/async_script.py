"""An asynchronous program: recipients from an async generator, events as they happen, a report in files.

python examples/async_script.py out/
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from mailer import AsyncMailer, Campaign


async def members() -> AsyncIterator[dict[str, object]]:
    """Stands for an async database cursor or an HTTP API."""
    for number in range(1, 31):
        await asyncio.sleep(0)
        yield {"email": f"member-{number}@example.com", "name": f"Member {number}"}
    yield {"email": "bounce+550@example.com", "name": None}


async def main(folder: str) -> None:
    """Send, listen, save."""
    campaign = Campaign(
        name="members",
        template="newsletter",
        folder=Path(__file__).parent,
        sender="Acme News <news@acme.example>",
        recipients=members(),
        key="members-2026-11",
    )
    async with AsyncMailer.from_env() as mailer:
        handle = await mailer.enqueue(campaign)
        async for event in handle.events():
            if event.state == "refused":
                print(event.email, event.code, event.enhanced_code, event.text)
        report = await handle.report()
        for path in await report.save(folder, formats=("html", "csv", "json")):
            print(path)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
