"""A producer whose server dies or is full: what is stored is whole, it says how much, and a second run goes on."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from mailer.vocabulary.campaign import Campaign, CampaignState
from tests.flow.submitting import CHUNK, Shop
from tests.operator.recount import sound
from tests.redis_faults.servers import FaultyServer

PEOPLE = 3 * CHUNK


class Countdown:
    """Lets so many commands of a client pass, and does something before the next one, or after it was answered."""

    def __init__(self, client: Any, then: Callable[[], None]) -> None:
        self._client = client
        self._send: Callable[..., Awaitable[Any]] = client.execute_command
        self._then = then
        self.left = 1_000_000
        self.is_answered_first = False
        # Nobody is to be waited for: the server is dead until the test starts it.
        client.connection_pool.connection_kwargs["retry"] = Retry(NoBackoff(), 0)
        client.execute_command = self._count

    async def _count(self, *words: Any, **options: Any) -> Any:
        self.left -= 1
        if self.left == 0 and self.is_answered_first:
            await self._send(*words, **options)
        if self.left == 0:
            self._then()
        return await self._send(*words, **options)


async def _stored(ledgers: Ledgers) -> Campaign | None:
    """The one campaign, which is whole as far as it goes."""
    found = await ledgers.campaigns.ids()
    if not found:
        return None
    status = await sound(ledgers, (await ledgers.reading.status(found[0])).campaign)
    assert status.state is CampaignState.DRAFT or status.totals.accepted == PEOPLE
    assert status.totals.accepted % CHUNK == 0
    return status.campaign


async def test_a_producer_whose_server_dies_at_any_command_leaves_nothing_half_and_goes_on(
    server: FaultyServer, tmp_path: Path
) -> None:
    """By turns before the command, and when it is done and not answered yet."""
    shop = Shop(tmp_path)
    people = shop.people(PEOPLE)
    kills = 0
    while True:
        async with open_ledgers(server.url, prefix=f"t{kills}", lease_s=1) as ledgers:
            countdown = Countdown(ledgers.redis, server.kill)
            countdown.left, countdown.is_answered_first = kills + 1, bool(kills % 2)
            try:
                await shop.submission(ledgers, people, key="k").run()
            except (RedisError, OSError):
                server.start()
            else:
                break
            stored = await _stored(ledgers)
            before = (await ledgers.reading.status(stored.id)).totals.accepted if stored is not None else 0
            done = await shop.submission(ledgers, people, key="k").run()
            assert done is not None
            assert (done.counts.already, done.counts.new) == (before, PEOPLE - before)
            await sound(ledgers, done.status.campaign)
            kills += 1
    assert kills > PEOPLE / CHUNK
