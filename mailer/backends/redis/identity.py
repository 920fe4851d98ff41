"""The identity of a ledger: whoever knew it does not take a void, or another ledger, for it."""

import secrets
from typing import TYPE_CHECKING

from mailer.backends.redis.keys import PROTOCOL
from mailer.backends.redis.scripts import BORN
from mailer.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from mailer.backends.redis.keys import Keys
    from mailer.backends.redis.server import Server


class Identity:
    """What one process knows of the ledger it works with. A ledger gets its identity from whoever comes first.

    `known` is the identity that it must have; empty, it is the one found at the first call.
    """

    def __init__(self, redis: "Server", keys: "Keys", known: str = "") -> None:
        self._redis = redis
        self._keys = keys
        self._known = known.encode() or None

    async def check(self) -> None:
        """See that it is the ledger that it was before.

        Raises `UsageError`: E505, it has another layout; E514, it is gone, or another one stands in its place.
        """
        if self._known is None:
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.set(self._keys.schema, PROTOCOL, nx=True)
                pipe.set(self._keys.identity, secrets.token_hex(8), nx=True)
                pipe.get(self._keys.schema)
                pipe.get(self._keys.identity)
                _, is_new, schema, identity = await pipe.execute()
            if is_new:
                await BORN(self._redis, [self._keys.gate])
        else:
            schema, identity = await self._redis.get(self._keys.schema), await self._redis.get(self._keys.identity)
        if self._known is not None and identity != self._known:
            raise other_ledger(self._keys.prefix, is_gone=identity is None)
        if schema != b"%d" % PROTOCOL:
            raise other_layout(self._keys.prefix, schema)
        self._known = identity


def other_layout(prefix: str, schema: bytes | None) -> UsageError:
    """E505: another version of mailer wrote here."""
    shown = (schema or b"none")[:20].decode("utf-8", "replace")
    return UsageError(
        "E505",
        f"the data under the prefix {prefix!r} has layout {shown}, this mailer writes {PROTOCOL}",
        hint="use the version that wrote it, or another queue.prefix",
        safe="Nothing was read or changed.",
    )


def other_ledger(prefix: str, *, is_gone: bool) -> UsageError:
    """E514: the ledger was emptied or replaced under a process that worked with it."""
    what = "the ledger is gone" if is_gone else "another ledger stands in the place of the one that was here"
    return UsageError(
        "E514",
        f"{what} (prefix {prefix!r})",
        why="The queue server was emptied (FLUSHALL), lost its files, or another database answers at its address.",
        hint="put back the append-only file and start again; without one, send to those who are in no exported report",
        safe="Nothing was created and nothing is sent; the log names outcomes that are no longer recorded.",
    )
