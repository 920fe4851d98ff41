"""Is this queue server fit to hold mail? Step by step, for the person who set it up; changes nothing."""

from collections.abc import Callable

from redis import exceptions

from mailer.backends.redis.connection import connect, explained, may_evict
from mailer.vocabulary.errors import QueueError
from mailer.vocabulary.step import Step

_POWER = "A power loss may cost the ledger its last moments."


async def examine_server(url: str, *, shown: str, tell: Callable[[Step], None]) -> None:
    """Tell of reachability, durability, eviction and memory. `shown` is the URL without its password.

    Raises `QueueError` E501 or E509 when there is nothing to examine.
    """
    server = connect(url, patience=1)
    try:
        with explained(shown):
            facts = await server.info()
            kind = "Valkey" if "valkey_version" in facts else "Redis"
            tell(Step(name="reachable", detail=f"{kind} {facts.get('valkey_version') or facts.get('redis_version')}"))
            try:
                settings = await server.config_get("maxmemory*", "append*")
            except exceptions.ResponseError as error:
                tell(Step(name="durability", error=_untold(error)))
            else:
                for step in _judged(settings):
                    tell(step)
            limit = int(facts.get("maxmemory", 0))
            used = int(facts.get("used_memory", 0))
            told = f"of {_megabytes(limit)}" if limit else "no limit"
            tell(Step(name="memory", detail=f"{_megabytes(used)} used, {told}"))
    finally:
        await server.aclose()


def _judged(settings: dict[str, str]) -> list[Step]:
    policy = settings.get("maxmemory-policy", "noeviction")
    return [
        _wanted("appendonly", settings.get("appendonly", "?"), "yes"),
        _wanted("appendfsync", settings.get("appendfsync", "?"), "always"),
        Step(name="maxmemory-policy", detail=policy, error=None if policy == "noeviction" else may_evict(policy)),
    ]


def _wanted(name: str, value: str, wanted: str) -> Step:
    if value == wanted:
        return Step(name=name, detail=value)
    warning = QueueError("W502", f"{name} is {value}", why=_POWER, hint=f"valkey-cli config set {name} {wanted}")
    return Step(name=name, detail=value, error=warning)


def _untold(error: exceptions.ResponseError) -> QueueError:
    return QueueError(
        "W502",
        "the server does not tell its settings (CONFIG GET is forbidden)",
        why=_POWER,
        hint="see by yourself that it has maxmemory-policy noeviction, appendonly yes, appendfsync always",
        cause=str(error),
    )


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
