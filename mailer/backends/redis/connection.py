"""A connection to the queue server that outlives its restarts, and what its errors mean to a person."""

import asyncio
import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from mailer.backends.redis.identity import Identity
from mailer.backends.redis.keys import Keys
from mailer.backends.redis.server import Server
from mailer.vocabulary.errors import MailerError, QueueError, UsageError

PASSING = (exceptions.ConnectionError, exceptions.TimeoutError, exceptions.BusyLoadingError, OSError)
"""Errors that say nothing about the command: the server is away, starting or unreachable."""

LOADING_S = 60.0
"""How long a server that reads its data is waited for at the start."""


class _Client(Redis):
    """redis-py's client, where a task that is cancelled amid a command is.

    It sends through `asyncio.wait_for`, and that of Python 3.11 forgets a cancellation that comes together with the end
    of what it waits for (gh-86296): a worker would not end when it is told to, about once in a hundred times.
    """

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """One command."""
        return await _heeding_cancellation(super().execute_command(*args, **options))  # type: ignore[no-untyped-call] # redis has no types there

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        """Many commands."""
        return _Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


class _Pipeline(Pipeline):
    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """All of them."""
        answers: list[Any] = await _heeding_cancellation(super().execute(raise_on_error))
        return answers


async def _heeding_cancellation(call: Awaitable[Any]) -> Any:
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        answer = await call
    except Exception:
        # An error such as NOSCRIPT would swallow it just as well as an answer.
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError from None
        raise
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError
    return answer


def connect(url: str, *, patience: int = 3) -> Server:
    """A client for `redis://`, `rediss://` (host name verified) or `unix://`; connects when first used.

    `patience` is the number of tries within one command, with growing pauses of at most a second.
    """
    client = _Client.from_url(
        url,
        retry=Retry(ExponentialBackoff(cap=1.0, base=0.05), patience),
        retry_on_error=list(PASSING),
        socket_connect_timeout=5,
        socket_timeout=60,
        max_connections=64,
        **({"ssl_check_hostname": True} if url.startswith("rediss://") else {}),
    )
    return cast("Server", client)


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
    if isinstance(error, exceptions.NoPermissionError):
        return _refused_login(shown_url, words)
    if isinstance(error, exceptions.BusyLoadingError):
        return _away(f"the queue server at {shown_url} is still reading its data", words)
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
        "E501",
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
    """Refuse a server that may lose queued mail; return warnings about what a power loss would mean.

    One that is still reading its data is waited for, a minute at most. `ledger` is the identity that it must have.

    Raises:
        UsageError: E502, it may evict; E505, another layout stands under our prefix; E514, it is another ledger.
    """
    await _loaded(redis)
    try:
        settings = await redis.config_get("maxmemory-policy", "appendonly", "appendfsync")
    except exceptions.ResponseError:
        return ["W502 the server does not tell its settings (CONFIG GET is forbidden): see that it never evicts"]
    policy = settings.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        raise may_evict(policy)
    await Identity(redis, keys, ledger).check()
    if settings.get("appendonly") != "yes":
        return ["W502 no append-only file: a restart of the queue server loses the ledger (appendonly yes mends it)"]
    if settings.get("appendfsync") != "always":
        return ["W502 appendfsync is not always: a power loss may forget the last second, and repeat its messages"]
    return []
