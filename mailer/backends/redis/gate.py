"""The gate before all claims: after a start of the queue server, those who live first put back what they remember."""

from typing import TYPE_CHECKING

from mailer.backends.redis.fleet import BEAT_S
from mailer.backends.redis.scripts import ANNOUNCE

if TYPE_CHECKING:
    from mailer.backends.redis.keys import Keys
    from mailer.backends.redis.server import Server

OTHER_START = -2
"""Answer of `announce.lua`: the queue server was started again meanwhile."""


def beat_s(lease_s: float) -> float:
    """Seconds between two heartbeats: a short lease bears no fewer beats than a long one."""
    return min(BEAT_S, lease_s / 4)


class Gate:
    """One for the whole fleet of a ledger. `claim.lua` asks it in the step that claims."""

    def __init__(self, redis: "Server", keys: "Keys", lease_s: float) -> None:
        self._redis = redis
        self._keys = [keys.gate, keys.replayed, keys.workers]
        self._lease_s = lease_s

    async def announce(self, owner: str, run_id: str) -> int:
        """Say that this worker has put back what it remembers, for this start of the server. May be said repeatedly.

        Returns how many workers are still waited for (a dead one for one lease); 0 when claims are given; -1 when only
        the first beat of those is waited for that the server may have forgotten; -2 when it is another start.
        """
        lease_ms, beat_ms = int(self._lease_s * 1000), int(beat_s(self._lease_s) * 1000)
        return int(await ANNOUNCE(self._redis, self._keys, owner, lease_ms, beat_ms, run_id))
