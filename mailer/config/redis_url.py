"""The URL of the queue server: what is accepted, and how it is shown."""

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, parse_qs, urlsplit

from mailer.vocabulary.errors import UsageError

_FORMS = "redis://127.0.0.1:6379/0, rediss://:password@host:6380/0, or unix:///run/redis.sock"
_SCHEMES = ("redis://", "rediss://", "unix://")
# Other parameters reach the client as they are, and `ssl_cert_reqs=none` would switch verification off.
_PARAMETERS = frozenset({"db", "ssl_ca_certs"})


class QueueUrl(str):
    """A queue URL whose repr hides the login, so that no dataclass, log line or traceback shows it by accident."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(redact(self))


def redact(url: str) -> str:
    """The URL without user and password: `redis://***@host:6379/0`. Takes any text, well-formed or not."""
    # Up to the last @: an unescaped / or @ in the password must not end the hiding early.
    hidden = re.sub(r"(?s)^(\w*://)?.*@", r"\1***@", url)
    # Where the host was forgotten, the password stands in the place of the port.
    hidden = re.sub(r"^(\w+://)[^@/?#\[]*:(?!\d*(?:[/?#]|$))[^/?#]*", r"\1***", hidden)
    return re.sub(r"(?i)(password=)[^&#]*", r"\1***", hidden)


def has_password(url: str) -> bool:
    """True when something like a password stands in the URL."""
    login = url.rpartition("@")[0]
    return ":" in (login.partition("://")[2] if "://" in login else login) or "password=" in url.lower()


def check_queue_url(url: str, *, allow_plain: bool) -> None:
    """Refuse a URL that is none, and a remote server that anyone on the way could read or use.

    A server on this machine (`unix://`, `localhost`, a loopback address) may be plain; any other needs `rediss://` and
    a password unless `allow_plain` is set.

    Raises:
        UsageError: E117 when it is not the URL of a queue server, E111 when the server is remote and unprotected.
    """
    parts = _split(url)
    if allow_plain or parts.scheme == "unix" or _is_loopback(parts.hostname or ""):
        return
    missing = ["no TLS"] * (parts.scheme != "rediss") + ["no password"] * (not parts.password)
    if missing:
        raise UsageError(
            "E111",
            f"the queue server of {redact(url)} is remote, and the URL has {' and '.join(missing)}",
            why="Whoever reaches it could read every message and send in your name.",
            hint="MAILER_REDIS_URL=rediss://:password@host:6380/0, or queue.allow_plain = true in a private network",
        )


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = SplitResult("", "", "", "", "")
    if not url.startswith(_SCHEMES) or not url.isprintable() or " " in url:
        raise _malformed("this is not the URL of a queue server")
    if not (parts.path.strip("/") if parts.scheme == "unix" else parts.hostname):
        raise _malformed(f"{redact(url)} names no {'socket' if parts.scheme == 'unix' else 'host'}")
    others = sorted(set(parse_qs(parts.query, keep_blank_values=True)) - _PARAMETERS)
    if others or parts.fragment:
        raise _malformed("the URL of the queue server has parameters other than db and ssl_ca_certs")
    return parts


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _malformed(message: str) -> UsageError:
    return UsageError("E117", message, hint=_FORMS)
