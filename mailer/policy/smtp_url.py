"""The SMTP URL: one line that names the relay, the protection of the connection and the login.

A message about a URL never repeats what may be a password: neither the part before `@` nor the text of a bad port,
which is where the password of `smtps://user:password` (host forgotten) ends up.
"""

import re
from ipaddress import IPv6Address
from urllib.parse import quote, unquote

from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.route import Route, Security

_SECURITY = {
    "smtp+starttls": Security.STARTTLS,
    "submission": Security.STARTTLS,
    "smtps": Security.TLS,
    "smtp+insecure": Security.PLAIN,
}
_SCHEMES = {Security.STARTTLS: "smtp+starttls", Security.TLS: "smtps", Security.PLAIN: "smtp+insecure"}
_PORTS = {Security.STARTTLS: 587, Security.TLS: 465, Security.PLAIN: 25}

_ADDRESS = re.compile(r"(?P<host>\[[^\]]*\]|[^:/?#\[\]]*)(?::(?P<port>[^:/?#]*))?(?P<rest>[/?#].*)?")
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_.])?", re.IGNORECASE)
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def parse_smtp_url(url: str, *, ca_pem: str | None = None) -> Route:
    """Read `smtp+starttls://user@host:587`, `submission://`, `smtps://` or `smtp+insecure://` as a route.

    The user name is percent-decoded, the port defaults to 587, 465 or 25, `ca_pem` goes into the route as it is.

    Raises:
        UsageError: E103 for a password, E104 for a login in clear text, E102 for anything else that is not such a URL.
    """
    scheme, separator, rest = url.partition("://")
    userinfo, at, address = (rest if separator else url).rpartition("@")
    if ":" in userinfo:
        raise UsageError(
            "E103",
            "the SMTP URL contains a password",
            why="URLs end up in files, process lists and reports.",
            hint="take it out of the URL and set MAILER_SMTP_PASSWORD, or MAILER_SMTP_PASSWORD_FILE",
        )
    if not url.isprintable() or " " in url:
        raise _refusal("the SMTP URL contains a space or a control character")
    security = _security(scheme.lower() if separator else "", address)
    host, port = _host_and_port(address)
    user = _user(userinfo) if at else None
    if user is not None and security is Security.PLAIN:
        raise UsageError(
            "E104",
            "smtp+insecure:// has no user: the password would cross the network in clear text",
            hint=f"smtp+starttls://user@{_bracketed(host)}:587, or leave out the user",
        )
    return Route(host=host, port=port or _PORTS[security], security=security, user=user, ca_pem=ca_pem)


def format_smtp_url(route: Route) -> str:
    """Write a route as the URL that `parse_smtp_url` reads back to it (without `ca_pem`); the port is always there."""
    login = "" if route.user is None else f"{quote(route.user, safe='')}@"
    return f"{_SCHEMES[route.security]}://{login}{route.relay}"


def _security(scheme: str, address: str) -> Security:
    if scheme in _SECURITY:
        return _SECURITY[scheme]
    match = _ADDRESS.fullmatch(address)
    forms = _forms(match["host"] if match and _HOST.fullmatch(match["host"]) else "host")
    if scheme == "smtp":
        raise _refusal("smtp:// does not say how the connection is protected", hint=forms)
    if not scheme:
        raise _refusal("the SMTP URL does not begin with a scheme", hint=forms)
    raise _refusal(f"{scheme}:// is not an SMTP URL", hint=forms)


def _host_and_port(address: str) -> tuple[str, int | None]:
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise _refusal("the SMTP URL has more than a host and a port", hint="an IPv6 address stands in brackets: [::1]")
    if match["rest"] not in (None, "/"):
        raise _refusal("the SMTP URL goes on after the host and the port")
    return _host(match["host"]), _port(match["port"])


def _host(text: str) -> str:
    if not text:
        raise _refusal("the SMTP URL names no host")
    if text.startswith("["):
        return _ipv6(text[1:-1])
    if not text.isascii():
        raise _refusal("the host of the SMTP URL is not ASCII", hint="write its xn-- form")
    if not _HOST.fullmatch(text):
        raise _refusal("the host of the SMTP URL is not a host name")
    return text.lower()


def _ipv6(text: str) -> str:
    try:
        address = IPv6Address(text)
    except ValueError:
        address = None
    # A scope (`%eth0`) would need its own escaping, and no relay is reached that way.
    if address is None or address.scope_id is not None:
        raise _refusal("what stands in brackets in the SMTP URL is not an IPv6 address")
    return str(address)


def _port(text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise _refusal("the port of the SMTP URL is not a number from 1 to 65535")
    return int(text)


def _user(text: str) -> str:
    """The login name; it goes into AUTH, so a line break or NUL in it must not get that far."""
    hint = "percent-encode it: news@acme.example is news%40acme.example"
    if not text:
        raise _refusal("the SMTP URL has an @ but no user before it")
    if "@" in text or _BROKEN_ESCAPE.search(text):
        raise _refusal("the user in the SMTP URL is not percent-encoded", hint=hint)
    try:
        user = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise _refusal("the user in the SMTP URL is not percent-encoded UTF-8", hint=hint) from None
    if not user.isprintable():
        raise _refusal("the user in the SMTP URL contains a control character")
    return user


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _forms(host: str) -> str:
    return f"smtp+starttls://{host}:587, smtps://{host}:465, or smtp+insecure://{host}:25 (clear text, no login)"


def _refusal(message: str, *, hint: str | None = None) -> UsageError:
    return UsageError("E102", message, hint=hint or _forms("host"))
