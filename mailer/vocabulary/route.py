"""The way to the relay: host, port, how the connection is protected, and as whom we log in."""

from dataclasses import dataclass
from enum import StrEnum


class Security(StrEnum):
    """How a connection is protected. There is no opportunistic middle: STARTTLS is required or not asked for."""

    STARTTLS = "starttls"
    TLS = "tls"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One relay. `ca_pem` holds the certificates of an own authority; None trusts the system's."""

    host: str
    port: int
    security: Security
    user: str | None = None
    ca_pem: str | None = None

    @property
    def relay(self) -> str:
        """`host:port`, as reports and log lines name it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
