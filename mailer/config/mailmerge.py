"""mailmerge's server file: `mailmerge_server.conf`, read as the relay and the rate it names."""

from configparser import Error, RawConfigParser
from dataclasses import dataclass
from pathlib import Path

from mailer.policy.smtp_url import format_smtp_url, parse_smtp_url
from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.route import Route, Security

SECTION = "smtp_server"

_SECURITY = {
    "SSL/TLS": Security.TLS,
    "STARTTLS": Security.STARTTLS,
    "XOAUTH": Security.STARTTLS,
    "PLAIN": Security.PLAIN,
    "Never": Security.PLAIN,
}
_LOGIN_IN_CLEAR = (
    "mailmerge logged in as {user} in clear text, which mailer never does: use smtp+starttls:// or smtps://"
)
_NO_OAUTH = "mailmerge logged in by OAuth, which mailer does not speak: a password of its own is needed"


@dataclass(frozen=True, slots=True, kw_only=True)
class MailmergeServer:
    """The relay as an SMTP URL, messages per minute (0 without a limit), and what could not be taken over."""

    url: str
    per_minute: int
    remark: str | None = None


def read_mailmerge_server(path: Path) -> MailmergeServer:
    """Read a `mailmerge_server.conf`: host, port, security, username and ratelimit of its `[smtp_server]`.

    Raises:
        UsageError: E108 it cannot be read, E101 a value is missing or wrong.
    """
    parser = RawConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8-sig"), source=str(path))
        host = parser.get(SECTION, "host")
        port = parser.getint(SECTION, "port")
        security = parser.get(SECTION, "security", fallback="") or "Never"
        user = parser.get(SECTION, "username", fallback="") or None
        per_minute = parser.getint(SECTION, "ratelimit", fallback=0)
    except OSError as error:
        raise UsageError("E108", f"{path} cannot be read", why=error.strerror) from error
    except UnicodeDecodeError as error:
        raise UsageError("E108", f"{path} is not UTF-8") from error
    except (Error, ValueError) as error:
        hint = f"[{SECTION}] needs host = smtp.acme.example and port = 587"
        raise UsageError("E101", f"{path} does not name a mail server", why=str(error), hint=hint) from error
    if security not in _SECURITY:
        hint = f"security = {', '.join(_SECURITY)}, or none"
        raise UsageError("E101", f"{path}: security {security!r} is not known", hint=hint)
    url = _url(path, host, port, _SECURITY[security], user)
    return MailmergeServer(url=url, per_minute=max(per_minute, 0), remark=_remark(security, user))


def _url(path: Path, host: str, port: int, security: Security, user: str | None) -> str:
    # Without TLS there is no login: the password would cross the network in clear text.
    login = None if security is Security.PLAIN else user
    url = format_smtp_url(Route(host=host, port=port, security=security, user=login))
    try:
        return format_smtp_url(parse_smtp_url(url))
    except UsageError as error:
        raise UsageError("E101", f"{path} names no mail server: {error.message}", hint=error.hint) from error


def _remark(security: str, user: str | None) -> str | None:
    if security == "PLAIN" and user is not None:
        return _LOGIN_IN_CLEAR.format(user=user)
    return _NO_OAUTH if security == "XOAUTH" else None
