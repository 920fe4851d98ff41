"""Jobs made again: an open chunk gets a new generation, and with it a job that nobody has seen yet."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailer.backends.redis.jobs import Jobs
    from mailer.backends.redis.keys import Keys
    from mailer.backends.redis.server import Server

AT_ONCE = 1000


async def hand_in_again(redis: "Server", keys: "Keys", jobs: "Jobs", campaign_id: str, chunks: Sequence[int]) -> int:
    """A job of a new generation for each of these chunks that is open. Returns how many.

    The job of the old one may be ending with nothing in its hands.
    """
    made = 0
    for start in range(0, len(chunks), AT_ONCE):
        some = chunks[start : start + AT_ONCE]
        async with redis.pipeline(transaction=True) as pipe:
            for chunk in some:
                # One that was packed meanwhile is not opened again: nobody would ever close it.
                pipe.zadd(keys.base(campaign_id) + "open", {str(chunk): 1}, xx=True, incr=True)
            answers = await pipe.execute()
        found = zip(some, answers, strict=True)
        again = [(campaign_id, chunk, int(generation)) for chunk, generation in found if generation is not None]
        await jobs.enqueue(again)
        made += len(again)
    return made


async def hand_in_all(redis: "Server", keys: "Keys", jobs: "Jobs", campaign_id: str) -> int:
    """The same for all that is open. Returns how many."""
    chunks = await redis.zrange(keys.base(campaign_id) + "open", 0, -1)
    return await hand_in_again(redis, keys, jobs, campaign_id, [int(chunk) for chunk in chunks])
