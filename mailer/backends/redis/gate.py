"""The gate before all claims: after a start of the queue server, those who live first put back what they remember."""

from typing import TYPE_CHECKING

import structlog
from redis.exceptions import ResponseError

from mailer.backends.redis.fleet import BEAT_S
from mailer.backends.redis.place import Place, place_of
from mailer.backends.redis.scripts import ANNOUNCE, DISTRUST
from mailer.vocabulary.reply import sanitise

if TYPE_CHECKING:
    from mailer.backends.redis.keys import Keys
    from mailer.backends.redis.server import Server

OTHER_START = -2
"""Answer of `announce.lua`: the queue server was started again meanwhile, or its data are gone."""

log = structlog.get_logger("mailer.ledger")


def beat_s(lease_s: float) -> float:
    """Seconds between two heartbeats: a short lease bears no fewer beats than a long one."""
    return min(BEAT_S, lease_s / 4)


class Gate:
    """One for the whole fleet of a ledger. `claim.lua` asks it in the step that claims.

    A ledger that was copied or moved, or put back further than workers remember, has two fates: somebody may go on with
    the other one. Its campaigns are paused before the gate opens, or as soon as somebody comes who knows what is lost,
    until an operator confirms.
    """

    def __init__(self, redis: "Server", keys: "Keys", lease_s: float) -> None:
        self._redis = redis
        self._names = keys
        self._keys = [keys.gate, keys.replayed, keys.workers]
        self._epoch = f"{keys.identity}:epoch"
        self._lease_s = lease_s
        self._said = ""

    async def announce(self, owner: str, run_id: str) -> int:
        """Say that this worker has put back what it remembers, for this start of the server. May be said repeatedly.

        Returns how many workers are still waited for (a dead one for one lease); 0 when claims are given; -1 when only
        the first beat of those is waited for that the server may have forgotten; -2 when it is another start, or
        the ledger knows nothing of this worker (any more).
        """
        run, seen, machine, folder = await self._redis.hmget(self._names.gate, ["run", "seen", "machine", "folder"])
        here, moved = Place(), None
        if run != run_id.encode():
            here = await place_of(self._redis)
            # Somebody who has announced himself has looked at the place before, and an operator may have confirmed it.
            is_known = seen == run_id.encode()
            before = here if is_known else Place(machine=_text(machine), folder=_text(folder))
            moved = here.moved_from(before)
        # Also when the gate is open: whoever comes late may be the only one who knows what was lost.
        await self._look_back(moved)
        lease_ms, unheard_ms = int(self._lease_s * 1000), int(min(BEAT_S, self._lease_s) * 1000)
        told = (owner, lease_ms, unheard_ms, run_id, here.machine, here.folder)
        return int(await ANNOUNCE(self._redis, self._keys, *told))

    async def _look_back(self, moved: str | None) -> None:
        """Pause what is under way when this is not the ledger, or not the state of it, that was left."""
        lost = await self._redis.hget(self._epoch, "lost")
        if moved is not None:
            reason = sanitise(f"this ledger was moved or copied: {moved}")
        elif lost is not None:
            reason = "this ledger was put back to a state from before what its workers remember"
        else:
            return
        paused = 0
        for campaign_id in await self._redis.zrange(self._names.campaigns, 0, -1):
            try:
                paused += int(
                    await DISTRUST(self._redis, [self._names.campaign(campaign_id.decode("utf-8", "replace"))], reason)
                )
            except ResponseError as error:
                if "WRONGTYPE" not in str(error):
                    raise
                # What somebody has planted must not keep the gate closed for all; nobody can claim there anyway.
                log.warning("a campaign cannot be read", campaign=campaign_id.decode("utf-8", "replace"))
        await self._redis.hdel(self._epoch, "lost")
        if reason != self._said:
            self._said = reason
            log.error("campaigns paused", campaigns=paused, reason=reason, hint="mailer resume ID --confirm-restore")


def _text(value: bytes | None) -> str:
    return value.decode("utf-8", "replace") if value is not None else ""
