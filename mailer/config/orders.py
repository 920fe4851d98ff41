"""What a worker process is told when it starts, over its standard input: secrets never stand in argv."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from mailer.config.route import certificates
from mailer.config.secrets import smtp_password
from mailer.policy.smtp_url import parse_smtp_url
from mailer.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from mailer.config.configuration import Configuration


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a worker needs. `smtp` holds the settings that win over a campaign's own."""

    queue_url: str
    prefix: str = "mailer"
    lease_s: float = 10.0
    grace_s: float = 60.0
    smtp: dict[str, Any] = {}
    ca_pem: str | None = None
    password: str | None = None
    burst: bool = False
    ledger: str = ""
    """Identity of the ledger that they are for; empty: the one that is there."""
    log_format: Literal["text", "json"] = "text"
    log_level: str = "warning"

    def __repr__(self) -> str:
        return f"Orders(prefix={self.prefix!r}, burst={self.burst!r})"


def write_orders(orders: Orders) -> bytes:
    """One line."""
    return msgspec.json.encode(orders) + b"\n"


def read_orders(line: bytes) -> Orders:
    """Orders from their line."""
    return msgspec.json.decode(line, type=Orders)


def orders_of(
    configuration: "Configuration",
    environ: Mapping[str, str],
    *,
    queue_url: str,
    grace_s: float = 60.0,
    burst: bool = False,
    logs: tuple[Literal["text", "json"], str] = ("text", "warning"),
    password: str | None = None,
) -> Orders:
    """Orders for a worker process. `password` is one that was asked for; else the environment's is taken.

    Raises:
        UsageError: E113 when the environment's own SMTP URL names a user and there is no password.
    """
    explicit = configuration.explicit("smtp")
    own_url, ca_file = explicit.get("url"), explicit.pop("ca_file", None)
    known = password if password is not None else smtp_password(environ)
    if own_url is not None and (user := parse_smtp_url(str(own_url)).user) is not None and known is None:
        raise missing_password(user)
    return Orders(
        queue_url=str(queue_url),
        prefix=configuration.queue.prefix,
        lease_s=configuration.queue.lease,
        grace_s=grace_s,
        smtp=explicit,
        ca_pem=certificates(ca_file) if ca_file is not None else None,
        password=str(known) if known is not None else None,
        burst=burst,
        log_format=logs[0],
        log_level=logs[1],
    )


def missing_password(user: str) -> UsageError:
    """A login is named and its password is nowhere."""
    return UsageError(
        "E113",
        f"no password for {user}",
        why="The SMTP URL names a user.",
        hint="set MAILER_SMTP_PASSWORD, MAILER_SMTP_PASSWORD_FILE or MAILER_SMTP_PASSWORD_COMMAND",
        safe="Nothing was sent.",
    )
