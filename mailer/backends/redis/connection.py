"""A connection to the queue server that outlives its restarts, and what its errors mean to a person."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from mailer.backends.redis.identity import Identity
from mailer.backends.redis.keys import Keys
from mailer.backends.redis.server import Server, redis_ms
from mailer.backends.redis.wire import connection_pool
from mailer.vocabulary.errors import MailerError, QueueError, UsageError

PASSING = (exceptions.ConnectionError, exceptions.TimeoutError, exceptions.BusyLoadingError, OSError)
"""Errors that say nothing about the command: the server is away, starting or unreachable."""

LOADING_S = 60.0
"""How long a server that reads its data is waited for at the start."""
SKEW_S = 2.0
"""Between the clock of this machine and that of the server; more is worth a word."""
AWAY = "E501"
"""The code of a server that does not answer, or not yet."""
_FULL = "max number of clients reached"


def connect(url: str, *, patience: int = 3) -> Server:
    """A client for `redis://`, `rediss://` (host name verified) or `unix://`; connects when first used.

    `patience` is the number of tries within one command, with growing pauses of at most a second.
    """
    pool = connection_pool(
        url,
        retry=Retry(ExponentialBackoff(cap=1.0, base=0.05), patience),
        retry_on_error=list(PASSING),
        socket_connect_timeout=5,
        max_connections=64,
    )
    return cast("Server", Redis.from_pool(pool))


@contextmanager
def explained(shown_url: str) -> Iterator[None]:
    """Turn redis-py's errors into ours. `shown_url` is the address without its password."""
    try:
        yield
    except (*PASSING, exceptions.ResponseError) as error:
        raise meaning(shown_url, error) from error


def meaning(shown_url: str, error: Exception) -> MailerError:
    """What an error of redis-py means to a person."""
    words = str(error) or type(error).__name__
    if isinstance(error, exceptions.AuthenticationError) or words.startswith(("NOAUTH", "WRONGPASS", "NOPERM")):
        return _refused_login(shown_url, words)
    if isinstance(error, exceptions.NoPermissionError) or "ACL failure" in words:
        return _refused_login(shown_url, words)
    if isinstance(error, exceptions.BusyLoadingError):
        return _away(f"the queue server at {shown_url} is still reading its data", words)
    if _FULL in words:
        return QueueError(
            AWAY,
            f"the queue server at {shown_url} takes no more connections (maxclients)",
            why="Every worker process needs about ten.",
            hint="valkey-cli config set maxclients 10000, or run fewer worker processes",
            safe="Nothing is lost: what was accepted stays in the ledger.",
            cause=words,
            retryable=True,
        )
    if not isinstance(error, exceptions.ResponseError):
        return _away(f"no Redis at {shown_url}", words)
    if words.startswith("CANCELLED"):
        return UsageError(
            "E114",
            "the campaign was cancelled before its whole list was accepted",
            hint="give the list another --key to make a new campaign of it",
            safe="Nobody else gets a message; what was sent before is in its report.",
        )
    return QueueError(
        "E507",
        f"the queue server at {shown_url} cannot record: {words.partition(' script: ')[0]}",
        why="It refuses to write, so nothing may be accepted or sent.",
        hint="free memory or disk, or make it writable again; the work goes on by itself",
        safe="Nothing is lost: what was accepted stays in the ledger.",
        cause=words,
        retryable=True,
    )


def _away(what: str, words: str) -> QueueError:
    return QueueError(
        AWAY,
        what,
        why="The server does not answer.",
        hint="docker compose up -d valkey, or unset MAILER_REDIS_URL to use the embedded one",
        safe="Nothing is lost: what was accepted stays in the ledger.",
        cause=words,
        retryable=True,
    )


def _refused_login(shown_url: str, words: str) -> QueueError:
    return QueueError(
        "E509",
        f"the queue server at {shown_url} refused the login",
        hint="check the user and password in MAILER_REDIS_URL",
        cause=words,
    )


def may_evict(policy: str) -> UsageError:
    """The server throws keys away when its memory is full, and mail with them."""
    return UsageError(
        "E502",
        f"this Redis may evict queued mail (maxmemory-policy {policy})",
        why="Nothing is claimed or accepted.",
        hint="valkey-cli config set maxmemory-policy noeviction",
    )


async def _loaded(redis: Server) -> None:
    deadline = time.monotonic() + LOADING_S
    while True:
        try:
            await redis.get("")
        except exceptions.BusyLoadingError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
        else:
            return


async def check_server(redis: Server, keys: Keys, *, ledger: str = "") -> list[str]:
    """Refuse a server that may lose queued mail; return warnings about power losses (W502) and clocks (W516).

    One that is still reading its data is waited for, a minute at most. `ledger` is the identity that it must have.

    Raises:
        UsageError: E502, it may evict; E505, another layout stands under our prefix; E514, it is another ledger.
    """
    await _loaded(redis)
    warnings = []
    try:
        settings = await redis.config_get("maxmemory-policy", "appendonly", "appendfsync")
    except exceptions.ResponseError:
        settings = None
    policy = settings.get("maxmemory-policy", "noeviction") if settings is not None else "noeviction"
    if policy != "noeviction":
        raise may_evict(policy)
    await Identity(redis, keys, ledger).check()
    if settings is None:
        warnings.append(
            "W502 the server does not tell its settings (CONFIG GET is forbidden): see that it never evicts"
        )
    elif settings.get("appendonly") != "yes":
        warnings.append(
            "W502 no append-only file: a restart of the queue server loses the ledger (appendonly yes mends it)"
        )
    elif settings.get("appendfsync") != "always":
        warnings.append(
            "W502 appendfsync is not always: a power loss may forget the last second, and repeat its messages"
        )
    ahead_s = await _ahead_s(redis)
    if abs(ahead_s) > SKEW_S:
        which = "ahead of" if ahead_s > 0 else "behind"
        warnings.append(
            f"W516 this machine's clock is {abs(ahead_s):.0f} s {which} the queue server's: "
            "dates of messages follow the one, due times and reports the other; set both by NTP"
        )
    return warnings


async def _ahead_s(redis: Server) -> float:
    """Seconds that the wall clock of this machine is ahead of the server's, as far as that is certain."""
    before = time.time()
    theirs = await redis_ms(redis) / 1000
    after = time.time()
    return max(before - theirs, 0.0) + min(after - theirs, 0.0)
