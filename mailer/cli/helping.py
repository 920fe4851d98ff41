"""Working while accepting: a stream, or a list beyond the high-water mark, runs before it has been read to its end."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from mailer.vocabulary.campaign import CampaignState

if TYPE_CHECKING:
    from mailer.backends.redis.campaigns import Campaigns
    from mailer.backends.smtp.transcript import Keep
    from mailer.config.orders import Orders
    from mailer.vocabulary.campaign import Campaign

T = TypeVar("T")
LOOK_S = 0.2


async def accept_while_working(
    accepting: Coroutine[Any, Any, T],
    campaigns: "Campaigns",
    key: str,
    orders_for: "Callable[[Campaign], Orders]",
    transcript: "Keep | None",
) -> T:
    """What `accepting` comes to; from the moment on at which the campaign of this key runs, it is worked on.

    What keeps us from working ends the accepting, too: nobody would ever make room in the queue.
    """
    over = asyncio.Event()
    accepted = asyncio.ensure_future(accepting)
    working = asyncio.create_task(_work(campaigns, key, orders_for, transcript, over))
    try:
        await asyncio.wait({accepted, working}, return_when=asyncio.FIRST_COMPLETED)
        if not accepted.done():
            await working
        return await accepted
    finally:
        # Told and not cancelled: a connection that is just being made would be left open.
        over.set()
        accepted.cancel()
        await asyncio.gather(accepted, working, return_exceptions=True)


async def _work(
    campaigns: "Campaigns",
    key: str,
    orders_for: "Callable[[Campaign], Orders]",
    transcript: "Keep | None",
    over: asyncio.Event,
) -> None:
    """Until it is over; then what is on the wire finishes."""
    campaign = None
    while campaign is None:
        if await _is_over(over):
            return
        status = await campaigns.by_key(key)
        if status is not None and status.state is CampaignState.RUNNING:
            campaign = status.campaign
    # Loads arq: a list that was stored within the first look does without.
    from mailer.worker.own import OwnWorker

    async with OwnWorker(orders_for(campaign), transcript=transcript) as worker:
        while not await _is_over(over):
            worker.check()


async def _is_over(over: asyncio.Event) -> bool:
    """True when it is; asked about five times a second."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LOOK_S):
            await over.wait()
    return over.is_set()
