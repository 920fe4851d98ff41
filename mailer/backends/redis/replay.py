"""The replay: what the queue server has forgotten when it was started again is put back from a worker's memory."""

from typing import TYPE_CHECKING

import structlog
from redis.exceptions import ResponseError

from mailer.backends.redis.behind import replay_of
from mailer.backends.redis.chunk_checks import UNREADABLE
from mailer.backends.redis.chunk_parts import read_parts
from mailer.backends.redis.damage import is_damage
from mailer.backends.redis.reviving import hand_in_again
from mailer.backends.redis.scripts import REPLAY, TAKE_OVER
from mailer.failpoints import reached

if TYPE_CHECKING:
    from collections.abc import Collection

    from mailer.backends.redis.campaigns import Campaigns
    from mailer.backends.redis.jobs import Jobs
    from mailer.backends.redis.operation import Operation
    from mailer.backends.redis.recorder import Recorder

log = structlog.get_logger("mailer.ledger")


class Replayer:
    """Puts back what one worker remembers. `in_hand` are the tokens of the claims it is working on."""

    def __init__(
        self,
        campaigns: "Campaigns",
        recorder: "Recorder",
        jobs: "Jobs",
        owner: str,
        in_hand: "Collection[str]",
    ) -> None:
        self._redis = campaigns.redis
        self._keys = campaigns.keys
        self._recorder = recorder
        self._jobs = jobs
        self._owner = owner
        self._in_hand = in_hand

    async def replay(self) -> int:
        """Put everything back that is behind; returns how many recipients that were. Safe to repeat.

        Afterwards this worker holds what it works on and nothing else: the end of a claim may be forgotten as well.
        """
        async with self._recorder.held():
            reached("in_replay")
            put_back = 0
            for (campaign_id, chunk), remembered in self._recorder.memory.by_chunk().items():
                try:
                    put_back += await self._chunk(campaign_id, chunk, remembered)
                except (*UNREADABLE, ResponseError) as error:
                    if not is_damage(error):
                        raise
                    # What somebody has planted in one chunk must not keep the gate closed for all.
                    log.exception("cannot put back what this worker remembers", campaign=campaign_id, chunk=chunk)
                    for operation in remembered:
                        operation.tell()
            await self._let_go()
        if put_back:
            log.warning("the queue server had forgotten what this worker remembers", put_back=put_back)
        return put_back

    async def _chunk(self, campaign_id: str, chunk: int, remembered: "list[Operation]") -> int:
        base = self._keys.base(campaign_id)
        names = [self._keys.campaign(campaign_id), self._keys.suppressed]
        done = False
        while not done:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.hgetall(base + "h")
                (holders,) = await pipe.execute()
            (parts,) = await read_parts(self._redis, base, [chunk])
            made = replay_of(parts, remembered, _claim_times(holders, chunk))
            done = not made.words or bool(await REPLAY(self._redis, names, base, chunk, *made.words))
        for operation in made.lost:
            operation.tell()
        if not any(operation.token in self._in_hand for operation in remembered):
            # The end of its run may be forgotten, and its job with it.
            await hand_in_again(self._redis, self._keys, self._jobs, campaign_id, [chunk])
        return made.recipients

    async def _let_go(self) -> None:
        """Give back claims whose end was forgotten."""
        for campaign_id in await self._redis.smembers(self._keys.live):
            name = campaign_id.decode("utf-8", "replace")
            try:
                await self._let_go_of(name)
            except (*UNREADABLE, ResponseError) as error:
                if not is_damage(error):
                    raise
                log.exception("cannot give back what this worker held", campaign=name)

    async def _let_go_of(self, name: str) -> None:
        key, base = self._keys.campaign(name), self._keys.base(name)
        for holder in await self._redis.hkeys(base + "h"):
            chunk, _, token = holder.decode("ascii", "replace").partition(":")
            if token.partition(".")[0] == self._owner and token not in self._in_hand and chunk.isdecimal():
                await TAKE_OVER(self._redis, [key], base, chunk, token, 0)
                await hand_in_again(self._redis, self._keys, self._jobs, name, [int(chunk)])


def _claim_times(holders: dict[bytes, bytes], chunk: int) -> dict[str, int]:
    """Token to when it claimed this chunk."""
    found = {}
    for holder, at in holders.items():
        number, _, token = holder.decode("ascii", "replace").partition(":")
        if number == str(chunk):
            found[token] = int(at)
    return found
