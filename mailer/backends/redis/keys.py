"""The names of the keys. Every key of a campaign carries the hash tag `{campaign}`, so that it lives in one slot."""

from dataclasses import dataclass

PROTOCOL = 2
"""Version of what stands in Redis; it is part of the queue's name, so that old workers never see newer jobs."""


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys under one prefix."""

    prefix: str

    def base(self, campaign_id: str) -> str:
        """What every key of a campaign begins with."""
        return f"{self.prefix}:{{{campaign_id}}}:"

    def campaign(self, campaign_id: str) -> str:
        """Hash: the record, the state, the counters."""
        return self.base(campaign_id) + "c"

    @property
    def schema(self) -> str:
        """String: the version of the layout."""
        return f"{self.prefix}:schema"

    @property
    def identity(self) -> str:
        """String: a random name that this ledger got when it began. It is never changed."""
        return f"{self.prefix}:identity"

    @property
    def gate(self) -> str:
        """Hash: `run`, the start of the queue server in which claims are given; `seen` and `since`, a later one.

        `born` is the start in which the ledger began; `machine` and `folder` say where the server stood in `run`.

        A server that was started again may have forgotten its last second: nobody claims before the workers that live
        have put back what they remember.
        """
        return f"{self.prefix}:gate"

    @property
    def replayed(self) -> str:
        """Hash: worker to the start of the queue server for which it has put back what it remembers."""
        return f"{self.prefix}:replayed"

    @property
    def campaigns(self) -> str:
        """Sorted set: campaign id by time of creation."""
        return f"{self.prefix}:campaigns"

    @property
    def by_key(self) -> str:
        """Hash: idempotency key to campaign id."""
        return f"{self.prefix}:keys"

    @property
    def live(self) -> str:
        """Set: ids of campaigns the reconciler looks after."""
        return f"{self.prefix}:live"

    @property
    def suppressed(self) -> str:
        """Hash: address to why and since when nobody may write to it."""
        return f"{self.prefix}:suppressed"

    @property
    def workers(self) -> str:
        """Sorted set: worker by time of its last heartbeat (Redis time, ms)."""
        return f"{self.prefix}:workers"

    @property
    def worker_details(self) -> str:
        """Hash: worker to who it is."""
        return f"{self.prefix}:worker-details"

    @property
    def leader(self) -> str:
        """String with a lease: the worker that reconciles."""
        return f"{self.prefix}:leader"

    @property
    def queue(self) -> str:
        """arq's queue."""
        return f"{self.prefix}:queue:{PROTOCOL}"

    @property
    def turns(self) -> str:
        """Hash: campaign, or `p:` and the lowest score of a priority, to the last score that was given to it."""
        return f"{self.prefix}:turns"

    def job(self, campaign_id: str, chunk: int, generation: int) -> str:
        """arq's id of a chunk's job; it holds no secret, only where to look."""
        return f"{self.prefix}:{campaign_id}:{chunk}:{generation}"
