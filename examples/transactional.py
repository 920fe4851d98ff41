"""One urgent message from a web application: stored before the request is answered, sent by a worker.

    python examples/transactional.py

The mail server is the one of MAILER_SMTP_URL; to try without one, `mailer capture` prints the variables to export.
"""

import asyncio
from pathlib import Path

from mailer import AsyncHandle, AsyncMailer, Campaign

FOLDER = Path(__file__).resolve().parent
ORDER = {"email": "ann@example.com", "first_name": "Ann", "order": 4711, "total": "99.00 EUR"}


class Shop:
    """Stands for your application, whatever its framework. The mailer is opened once, when the application starts."""

    def __init__(self, mailer: AsyncMailer) -> None:
        self._mailer = mailer

    async def confirm(self, order: dict[str, object]) -> AsyncHandle:
        """What the handler of `POST /orders` does. When it returns, the message is stored and will not be lost.

        No mail server is spoken to here: a slow one keeps no customer waiting, and one that is away loses no message.
        """
        campaign = Campaign(
            name="order-confirmation",
            template="order.txt",  # one file with headers and body, in examples/templates
            folder=FOLDER,
            recipients=[order],
            # Browsers and proxies repeat requests. One order is one message, however often it is asked for.
            key=f"order-{order['order']}-confirmation",
        )
        # Goes before the newsletter with a million recipients that may be in the queue.
        return await self._mailer.enqueue(campaign, priority=100)


async def main() -> None:
    """An order comes in, and the browser sends it twice."""
    async with AsyncMailer.from_env() as mailer:
        shop = Shop(mailer)
        first, again = await shop.confirm(ORDER), await shop.confirm(ORDER)
        print("the same message" if first.id == again.id else "two messages")
        # With `mailer worker` running somewhere nobody has to wait. Here, whoever waits does the work.
        status = await first.wait(timeout=60)
        print(first.id, status.state, status.totals.sent, "sent")


if __name__ == "__main__":
    asyncio.run(main())
